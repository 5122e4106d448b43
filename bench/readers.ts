/** Measures appends beside readers who get little or nothing: the time of each, alone and beside them in turn, in one run. */
import type { EdgeProcess } from "../test/support/edge.ts";
import { SECRET, signToken } from "../test/support/tokens.ts";
import { quantile } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { Figures } from "./results.ts";
import { startEdge } from "./running.ts";

const EVENTS = 200_000;
const STREAMS = 200;
const READERS = 4;
const SOCKETS = 1_000;
/** Of one actor, at most. */
const SOCKETS_OF_AN_ACTOR = 100;
/** Of readers, who begin at once, and of sockets, which have to be opened. */
const ROUNDS = { readers: 30, sockets: 10 };
/** Of a round. */
const APPENDS = 100;

export interface Beside {
  readonly beside: string;
  /** Milliseconds of an append. */
  readonly p50: number;
  readonly p99: number;
  /** The same, alone. */
  readonly aloneP50: number;
  readonly aloneP99: number;
  readonly ratioP50: number;
  readonly ratioP99: number;
}

export async function measureBesideReaders({ isQuick }: Scale): Promise<Figures[]> {
  const rounds = isQuick ? { readers: 1, sockets: 1 } : ROUNDS;
  const edge = await startEdge({ JWT_SECRET: SECRET });
  try {
    const authorization = `Bearer ${await signToken({ sub: "writer" })}`;
    const call = async (path: string, body?: object) => {
      const init = { headers: { authorization }, ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }) };
      const response = await fetch(`${edge.url}/v1/bench${path}`, init);
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      return response.json();
    };
    const events = isQuick ? 10_000 : EVENTS;
    await fill(call, events);
    console.error(`  ${events.toLocaleString("en")} events are there`);
    let appended = 0;
    const append = async () => {
      const start = performance.now();
      await call(`/streams/Appended-${appended++ % 20}`, { events: [eventOf(appended)] });
      return performance.now() - start;
    };
    const results: Beside[] = [];
    let asked = READERS;
    for (const [name, typeOf] of [
      ["the same rare types", (reader: number) => reader],
      ["another rare type each time", () => asked++],
    ] as const) {
      results.push(
        await compareAppends(`${READERS} readers in a loop, by ${name}`, append, rounds.readers, async () => startReaders(call, typeOf)),
      );
    }
    for (const filters of [1, SOCKETS]) {
      const name = `${SOCKETS} sockets that match nothing, ${filters} filter${filters === 1 ? "" : "s"}`;
      results.push(await compareAppends(name, append, rounds.sockets, () => openSockets(edge, filters, events)));
    }
    const streams = Array.from({ length: STREAMS }, (_, i) => `stream=Filled-${i}`).join("&");
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      await call(`/feed?limit=1&${streams}&after=${i * 1000}`);
      times.push(performance.now() - start);
    }
    const columns = ["beside", "p50, ms", "p99, ms", "alone: p50, ms", "p99, ms", "p50, times that alone", "p99, times that alone"];
    const rows = results.map(({ beside, p50, p99, aloneP50, aloneP99, ratioP50, ratioP99 }) => [
      beside,
      p50,
      p99,
      aloneP50,
      aloneP99,
      ratioP50,
      ratioP99,
    ]);
    const title = `appends beside readers of ${events.toLocaleString("en")} events who get little or nothing, and alone in the same run`;
    const manyStreams = ["limit=1", Number(quantile(times, 0.5).toFixed(1))];
    return [
      { kind: "figures", title, columns, rows },
      { kind: "figures", title: "a page of the feed of 200 named streams", columns: ["", "p50, ms"], rows: [manyStreams] },
    ];
  } finally {
    await edge.stop();
  }
}

type Call = (path: string, body?: object) => Promise<{ position: number; head: number }>;

function eventOf(i: number) {
  return { type: "Filled", data: { channel: "Internet", department: "General", responsible: `Resource${i % 50}`, text: "x".repeat(100) } };
}

async function fill(call: Call, events: number): Promise<void> {
  const streamsOfAPush = 20;
  const ofACommit = 50;
  for (let i = 0; i < events; i += streamsOfAPush * ofACommit) {
    const commits = Array.from({ length: streamsOfAPush }, (_, at) => ({
      streamId: `Filled-${(i / ofACommit + at) % STREAMS}`,
      events: Array.from({ length: ofACommit }, (_, one) => eventOf(one)),
    }));
    await call("/commits", { commits });
  }
}

/** @param start the readers. It returns what stops them */
async function compareAppends(
  beside: string,
  append: () => Promise<number>,
  rounds: number,
  start: () => Promise<() => Promise<void>>,
): Promise<Beside> {
  const times: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  for (let round = 0; round <= rounds; round++) {
    const alone = await appends(append);
    const stop = await start();
    const own = await appends(append);
    await stop();
    // The first round warms up.
    if (round === 0) continue;
    times.alone.push(...alone);
    times.beside.push(...own);
  }
  const [p50, p99, aloneP50, aloneP99] = [times.beside, times.alone].flatMap((of) => [quantile(of, 0.5), quantile(of, 0.99)]) as [
    number,
    number,
    number,
    number,
  ];
  const rounded = (value: number) => Number(value.toFixed(2));
  // It takes minutes until the next one.
  console.error(
    `${beside}: p50 ${rounded(p50 / aloneP50)}, p99 ${rounded(p99 / aloneP99)} times those alone, ${rounded(aloneP50)} and ${rounded(aloneP99)} ms`,
  );
  return {
    beside,
    p50: rounded(p50),
    p99: rounded(p99),
    aloneP50: rounded(aloneP50),
    aloneP99: rounded(aloneP99),
    ratioP50: rounded(p50 / aloneP50),
    ratioP99: rounded(p99 / aloneP99),
  };
}

async function appends(append: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < APPENDS; i++) times.push(await append());
  return times;
}

/** Readers who read the whole feed again and again. @param typeOf what each of them filters by, the next time */
function startReaders(call: Call, typeOf: (reader: number) => number): () => Promise<void> {
  let isReading = true;
  const loops = Array.from({ length: READERS }, async (_, reader) => {
    while (isReading) {
      const filter = `type=Rare${typeOf(reader)}`;
      for (let page = { position: 0, head: 1 }; page.position < page.head && isReading; ) {
        page = await call(`/feed?${filter}&after=${page.position}`);
      }
    }
  });
  return async () => {
    isReading = false;
    await Promise.all(loops);
  };
}

/** Sockets whose pull waits at the head. @param filters how many different filters they have */
async function openSockets(edge: EdgeProcess, filters: number, events: number): Promise<() => Promise<void>> {
  const tokens = await Promise.all(Array.from({ length: SOCKETS / SOCKETS_OF_AN_ACTOR }, (_, i) => signToken({ sub: `reader-${i}` })));
  const open = async (i: number) => {
    const protocols = ["headwater.v1", `bearer.${tokens[i % tokens.length]}`];
    const socket = new WebSocket(`${edge.url.replace("http", "ws")}/v1/bench/feed?type=Never${i % filters}`, protocols);
    let isClosing = false;
    const pulled = new Promise<void>((resolve, reject) => {
      socket.addEventListener("error", () => reject(new Error("A feed socket was not opened.")));
      socket.addEventListener("open", () => socket.send(JSON.stringify({ pull: { after: events } })));
      socket.addEventListener("message", ({ data }) => {
        const page: { position: number; head: number; problem?: object } = JSON.parse(data);
        if (page.problem !== undefined) return reject(new Error(data));
        socket.send(JSON.stringify({ pull: { after: page.position } }));
        if (page.position >= page.head) resolve();
      });
    });
    const closed = new Promise<void>((resolve) => {
      socket.addEventListener("close", ({ code }) => {
        if (!isClosing) console.error(`A feed socket was closed with ${code}.`);
        resolve();
      });
    });
    await pulled;
    return async () => {
      isClosing = true;
      socket.close();
      await closed;
    };
  };
  const sockets: (() => Promise<void>)[] = [];
  for (let i = 0; i < SOCKETS; i += 20) sockets.push(...(await Promise.all(Array.from({ length: 20 }, (_, at) => open(i + at)))));
  return async () => {
    await Promise.all(sockets.map((close) => close()));
  };
}
