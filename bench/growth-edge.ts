/**
 * Measures whether requests to the edge cost more in a larger store or stream: `node bench/growth-edge.ts`, with `TMPDIR=/dev/shm` for the edge's
 * state. Each line has medians in milliseconds, and their ratio to the first. Names of parts after it run these parts alone.
 */
import { parseArgs } from "node:util";
import { type EdgeProcess, startEdge } from "../test/support/edge.ts";
import { median, quantile, timed } from "./measure.ts";

const ROUNDS = 7;
/** Events of the streams that are woken. */
const STREAM_EVENTS = [1_000, 10_000, 50_000, 100_000];
/** Rows of the logs, of one event each. */
const LOG_ROWS = [1_000, 10_000, 50_000];
const RARE_ROWS = [1_000, 10_000, 100_000];
/** Streams of the stores whose streams are listed. */
const LISTED = [1_000, 10_000];
const NAMED = 200;

type Call = (path: string, body?: object) => Promise<Record<string, unknown>>;

const PARTS: Readonly<Record<string, (edge: EdgeProcess) => Promise<void>>> = { wakes, health, searches, rare, named, lists };

function callTo(edge: EdgeProcess, store: string): Call {
  return async (path, body) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${edge.url}/v1/${store}${path}`, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
}

function eventOf(i: number) {
  return { type: "Filled", data: { channel: "Internet", department: "General", responsible: `Resource${i % 50}`, text: "x".repeat(100) } };
}

function events(count: number): object[] {
  return Array.from({ length: count }, (_, i) => eventOf(i));
}

function print(name: string, sizes: readonly number[], times: readonly number[]): void {
  const ratios = times.map((time) => (time / (times[0] ?? time)).toFixed(2));
  console.log(`${name}: ${sizes.map((size, i) => `${size}: ${times[i]?.toFixed(2)} ms (${ratios[i]})`).join("  ")}`);
}

/** The edge is killed, so that each object wakes with its next request. The log and the isolate are awake before it is measured. */
async function woken(edge: EdgeProcess, call: Call): Promise<void> {
  await edge.kill();
  await edge.start();
  for (let i = 0; i < 20; i++) await call(`/streams/Warm-${i % 5}`, { events: [eventOf(i)] });
}

/** The first append to a stream after a wake, and the same for one that repeats the newest event. */
async function wakes(edge: EdgeProcess): Promise<void> {
  const call = callTo(edge, "wakes");
  for (const size of STREAM_EVENTS) {
    for (let i = 0; i < size; i += 100) await call(`/streams/Grown-${size}`, { events: events(100) });
  }
  const times = STREAM_EVENTS.map((): number[] => []);
  const nexts = STREAM_EVENTS.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round++) {
    await woken(edge, call);
    for (const [i, size] of STREAM_EVENTS.entries()) {
      const append = () => call(`/streams/Grown-${size}`, { events: [eventOf(i)] });
      const time = await timed(append);
      const next = await timed(append);
      // A stream of a version without filters gets them meanwhile.
      if (round === 0) continue;
      times[i]?.push(time);
      nexts[i]?.push(next);
    }
  }
  print("the first append after a wake", STREAM_EVENTS, times.map(median));
  print("the append after that", STREAM_EVENTS, nexts.map(median));
}

/** Fills a store with rows of one event each. @returns its name */
async function filled(edge: EdgeProcess, rows: number, streams = 20, name = `rows-${rows}-${streams}`): Promise<string> {
  const call = callTo(edge, name);
  for (let i = 0; i < rows; i += 20) {
    const commits = Array.from({ length: 20 }, (_, at) => ({ streamId: `Filled-${(i + at) % streams}`, events: [eventOf(i)] }));
    await call("/commits", { commits });
  }
  return name;
}

async function health(edge: EdgeProcess): Promise<void> {
  const calls: Call[] = [];
  for (const rows of LOG_ROWS) calls.push(callTo(edge, await filled(edge, rows)));
  const times = LOG_ROWS.map((): number[] => []);
  // The alarm that tells the index runs within a minute.
  await new Promise((resolve) => setTimeout(resolve, 65_000));
  for (const call of calls) await call("/health");
  for (let round = 0; round < ROUNDS; round++) {
    await edge.kill();
    await edge.start();
    await callTo(edge, "other")("/health");
    for (const [i, call] of calls.entries()) times[i]?.push(await timed(() => call("/health")));
  }
  print("health, the first after a wake, by rows of the log", LOG_ROWS, times.map(median));
}

/** Pages by filters that nothing matches, each of which is new, and appends beside them. */
async function searches(edge: EdgeProcess): Promise<void> {
  const rows = 20_000;
  const call = callTo(edge, await filled(edge, rows));
  const correlation = crypto.randomUUID();
  let filter = 0;
  const filters: Readonly<Record<string, () => string>> = {
    category: () => `category=None${filter++}`,
    type: () => `type=None${filter++}`,
    correlation: () => `correlation=${correlation.slice(0, -6)}${String(filter++).padStart(6, "0")}`,
    time: () => `since=2100-01-01T00:00:00.${String(filter++).padStart(3, "0")}Z`,
  };
  for (const [name, filterOf] of Object.entries(filters)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) times.push(await timed(() => call(`/feed?${filterOf()}`)));
    print(`a page of ${rows} events by a ${name} that nothing matches`, [rows], [median(times)]);
    const beside: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < 10; i++) alone.push(await timed(() => call("/streams/Beside-1", { events: [eventOf(i)] })));
      await new Promise((resolve) => setTimeout(resolve, 200));
      // The first append comes while nothing has been written for a while, and meets the longest turns.
      const page = call(`/feed?${filterOf()}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      beside.push(await timed(() => call("/streams/Beside-1", { events: [eventOf(0)] })));
      await page;
    }
    console.log(
      `  an append beside it: ${median(beside).toFixed(2)} ms, at most ${quantile(beside, 1).toFixed(2)}; alone ${median(alone).toFixed(2)}`,
    );
  }
}

/** A log read to its end by filters that nothing matches, each of which is new: by the first reader, and by those behind. */
async function rare(edge: EdgeProcess): Promise<void> {
  const firsts: number[] = [];
  const nexts: number[] = [];
  let filter = 0;
  for (const rows of RARE_ROWS) {
    const call = callTo(edge, await filled(edge, rows));
    const readToEnd = async () => {
      const type = `None${filter++}`;
      for (let after = 0, head = 1; after < head; ) {
        const page = await call(`/feed?type=${type}&after=${after}`);
        [after, head] = [Number(page["position"]), Number(page["head"])];
      }
    };
    firsts.push(await timed(readToEnd));
    const own: number[] = [];
    for (let round = 0; round < ROUNDS; round++) own.push(await timed(readToEnd));
    nexts.push(median(own));
  }
  print("a log read by a type that nothing has, by the first reader", RARE_ROWS, firsts);
  print("the same by another type behind that", RARE_ROWS, nexts);
}

async function named(edge: EdgeProcess): Promise<void> {
  const sizes = [10, 100, 1_000];
  for (const after of [0, 0.5]) {
    const times: number[] = [];
    for (const size of sizes) {
      const call = callTo(edge, await filledStreams(edge, size));
      const streams = Array.from({ length: NAMED }, (_, i) => `stream=Filled-${i}`).join("&");
      const own: number[] = [];
      for (let i = 0; i < 2 * ROUNDS; i++) {
        const from = after * size * NAMED + i;
        own.push(await timed(() => call(`/feed?limit=1&${streams}&after=${from}`)));
      }
      times.push(median(own));
    }
    print(`limit=1 of ${NAMED} named streams, from ${after * 100} % of the log on, by rows of each`, sizes, times);
  }
}

const known = new Set<string>();

/** A store of 200 streams of so many rows each. */
async function filledStreams(edge: EdgeProcess, size: number): Promise<string> {
  const name = `named-${size}`;
  if (!known.has(name)) await filled(edge, size * NAMED, NAMED, name);
  known.add(name);
  return name;
}

async function lists(edge: EdgeProcess): Promise<void> {
  const times: number[] = [];
  const middle: number[] = [];
  for (const size of LISTED) {
    const call = callTo(edge, await filled(edge, 2 * size, size));
    const own: number[] = [];
    const later: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      own.push(await timed(() => call("/streams?limit=1000")));
      later.push(await timed(() => call("/streams?limit=1000&after=Filled-5")));
    }
    times.push(median(own));
    middle.push(median(later));
  }
  print("a page of 1,000 streams, by streams of the store", LISTED, times);
  print("the same from the middle on (of fewer)", LISTED, middle);
}

const { positionals } = parseArgs({ allowPositionals: true });
for (const part of positionals.length === 0 ? Object.keys(PARTS) : positionals) {
  const edge = await startEdge({ AUTH: "open" });
  const onSignal = () => void edge.stop().finally(() => process.exit(1));
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    await PARTS[part]?.(edge);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    await edge.stop();
  }
}
