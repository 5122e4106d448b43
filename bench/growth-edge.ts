/**
 * How requests to the edge grow with the store, with the stream, and with the number of streams. What is compared takes turns. Times of objects
 * that have just woken come from an edge that was ended and started again; its isolate, and another log, are awake by then. If it was killed,
 * it would first replay what is left of each database's journal.
 */
import { said, timed } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { Growth } from "./results.ts";
import { startEdge } from "./running.ts";

type Edge = Awaited<ReturnType<typeof startEdge>>;
type Body = Readonly<Record<string, unknown>>;
type Grown = Pick<Growth, "title" | "lines">;

/** Of a store that grows. */
const STREAMS = 200;
const RARE_EVENTS = 10;
/** Streams that a reader names. */
const NAMED = 200;
/** Long streams that wake before those that are timed. */
const LONG = 8;
const REPETITIONS = 20;
/** Of what is timed once for each start of the edge. */
const WAKES = 7;

interface Sized {
  /** On the axis. */
  readonly at: number;
  readonly store: string;
}

/** An operation, done once. @param turn counts its repetitions */
interface Operation {
  readonly what: string;
  work(sized: Sized, turn: number): Promise<unknown>;
}

export async function measureGrowthAtEdge({ isQuick, hasMillion }: Scale, say: (line: string) => void): Promise<Growth[]> {
  const edge = await startEdge();
  const results: Growth[] = [];
  const add = async (along: string, measuring: Promise<Grown>) => {
    results.push({ kind: "growth", along, ...(await said(say, along, measuring)) });
  };
  try {
    const bench = new GrowthBench(edge, isQuick ? 2 : REPETITIONS, isQuick ? 1 : WAKES);
    await bench.fillWarm();
    const million = hasMillion ? [1_000_000] : [];
    await add("events in the store", bench.ofStores(isQuick ? [1_000, 3_000] : [1_000, 10_000, 100_000, ...million]));
    await add("events in the stream", bench.ofStreams(isQuick ? [100, 300] : [100, 1_000, 10_000, 100_000]));
    await add("commits in each of the named streams", bench.ofRows(isQuick ? [1, 3] : [10, 100, 1_000]));
    await add("streams in the store", bench.ofLists(isQuick ? [20, 60] : [100, 1_000, 10_000]));
    return results;
  } finally {
    await edge.stop();
  }
}

class GrowthBench {
  readonly #edge: Edge;
  readonly #repetitions: number;
  readonly #wakes: number;

  constructor(edge: Edge, repetitions: number, wakes: number) {
    this.#edge = edge;
    this.#repetitions = repetitions;
    this.#wakes = wakes;
  }

  async ofStores(sizes: readonly number[]): Promise<Grown> {
    const stores: Sized[] = [];
    for (const at of sizes) {
      const store = `events-${at}`;
      const rare = Math.floor(at / RARE_EVENTS);
      await this.#fill(store, at, STREAMS, (i) => ((i + 1) % rare === 0 ? "Rare" : "Happened"));
      for (let i = 0; i <= this.#wakes; i++) await this.#call(store, `/streams/Short-${i}`, commitOf(5));
      stores.push({ at, store });
    }
    const readToEnd = async (store: string, filter: string) => {
      for (let after = 0, head = 1; after < head; ) {
        const page = await this.#call(store, `/feed?${filter}&after=${after}`);
        [after, head] = [Number(page["position"]), Number(page["head"])];
      }
    };
    const awake: Operation[] = [
      { what: "an append to a short stream", work: ({ store }) => this.#call(store, "/streams/Short-0", commitOf(1)) },
      { what: "5 events of a stream", work: ({ store }, turn) => this.#call(store, `/streams/Filled-${turn}?limit=5`) },
      { what: "500 events of the feed", work: ({ store, at }) => this.#call(store, `/feed?limit=500&after=${at / 2}`) },
      // Another filter each time: pages of a filter that was there before are remembered.
      {
        what: "the next event of a rare type, from the middle on",
        work: ({ store, at }, turn) => this.#call(store, `/feed?limit=1&after=${at / 2}&type=Rare&type=No${turn}`),
      },
      { what: "all of the feed, by a type that no event has", work: ({ store }, turn) => readToEnd(store, `type=None${turn}`) },
      { what: "`/health`", work: ({ store }) => this.#call(store, "/health") },
    ];
    const woken: Operation[] = [
      {
        what: "the first append to a short stream after a wake",
        work: ({ store }, turn) => this.#call(store, `/streams/Short-${turn}`, commitOf(1)),
      },
      { what: "the first page of the feed after a wake", work: ({ store }) => this.#call(store, "/feed?limit=100") },
      { what: "`/health` after a wake", work: ({ store }) => this.#call(store, "/health") },
    ];
    const lines = [...(await this.#awake(stores, awake)), ...(await this.#woken(stores, woken))];
    return { title: `a store of ${STREAMS} streams that grows`, lines };
  }

  async ofStreams(sizes: readonly number[]): Promise<Grown> {
    const streams = sizes.map((at) => ({ at, store: `stream-${at}` }));
    for (const { at, store } of streams) await this.#fill(store, at, 1);
    const append = ({ store }: Sized) => this.#call(store, "/streams/Filled-0", commitOf(1));
    const page = ({ store, at }: Sized) => this.#call(store, `/streams/Filled-0?limit=50&from=${at / 2}`);
    const lines = [
      ...(await this.#awake(streams, [
        { what: "an append", work: append },
        { what: "a page of 50 events from the middle", work: page },
      ])),
      ...(await this.#woken(streams, [
        { what: "the first append after a wake", work: append },
        { what: "the first page after a wake", work: page },
      ])),
    ];
    return { title: "a stream that grows", lines };
  }

  async ofRows(sizes: readonly number[]): Promise<Grown> {
    const stores = sizes.map((at) => ({ at, store: `named-${at}` }));
    for (const { at, store } of stores) await this.#fill(store, at * NAMED, NAMED, undefined, 1);
    const streams = Array.from({ length: NAMED }, (_, i) => `stream=Filled-${i}`).join("&");
    const page = (part: number) => (sized: Sized, turn: number) =>
      this.#call(sized.store, `/feed?limit=1&${streams}&after=${part * sized.at * NAMED + turn}`);
    const lines = await this.#awake(stores, [
      { what: "the first event of the named streams", work: page(0) },
      { what: "the next one from the middle on", work: page(0.5) },
    ]);
    return { title: `a reader that names ${NAMED} streams`, lines };
  }

  async ofLists(sizes: readonly number[]): Promise<Grown> {
    const stores = sizes.map((at) => ({ at, store: `streams-${at}` }));
    for (const { at, store } of stores) await this.#fill(store, at, at);
    const lines = await this.#awake(stores, [
      { what: "a page of 100 streams", work: ({ store }) => this.#call(store, "/streams?limit=100&after=Filled-3") },
      { what: "an append to a new stream", work: ({ store }, turn) => this.#call(store, `/streams/New-${turn}`, commitOf(1)) },
    ]);
    return { title: "a store with more and more streams", lines };
  }

  /** Fills what wakes before what is timed: the first long streams that an isolate meets have the code compiled. */
  async fillWarm(): Promise<void> {
    await this.#fill("warm", LONG * 2_000, LONG);
  }

  async #awake(sizes: readonly Sized[], operations: readonly Operation[]): Promise<Growth["lines"]> {
    const lines = operations.map((operation) => new Line(operation, sizes));
    for (let turn = 0; turn <= this.#repetitions; turn++) for (const line of lines) await line.time(turn);
    return lines;
  }

  /** The edge is started anew for each operation, so that each finds the log asleep. */
  async #woken(sizes: readonly Sized[], operations: readonly Operation[]): Promise<Growth["lines"]> {
    const lines = operations.map((operation) => new Line(operation, sizes));
    for (let turn = 0; turn <= this.#wakes; turn++) {
      for (const line of lines) {
        await this.#edge.end();
        await this.#edge.start();
        for (let i = 0; i < 20; i++) await this.#call("warm", `/streams/Filled-${i % LONG}`, commitOf(1));
        await line.time(turn);
      }
    }
    return lines;
  }

  /** @param size events of a commit, at most */
  async #fill(store: string, events: number, streams: number, typeOf = (_: number) => "Happened", size = 50): Promise<void> {
    const versions = Math.ceil(events / streams);
    const commits: object[] = [];
    let sent = 0;
    for (let version = 0; version < versions; version += size) {
      const length = Math.min(size, versions - version);
      for (let stream = 0; stream < streams; stream++) {
        const events = Array.from({ length }, () => eventOf(typeOf(sent++)));
        commits.push({ streamId: `Filled-${stream}`, events });
        if (commits.length < 20 && stream < streams - 1) continue;
        await this.#call(store, "/commits", { commits: commits.splice(0) });
      }
    }
    // The index of streams is told of all of them, which would go on in the background.
    for (let calls = 0; calls < 10; calls++) await this.#call(store, "/health");
  }

  async #call(store: string, path: string, body?: object): Promise<Body> {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${this.#edge.url}/v1/${store}${path}`, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

class Line {
  readonly what: string;
  readonly points: readonly { readonly at: number; readonly times: number[] }[];
  readonly #operation: Operation;
  readonly #sizes: readonly Sized[];

  constructor(operation: Operation, sizes: readonly Sized[]) {
    this.what = operation.what;
    this.points = sizes.map(({ at }) => ({ at, times: [] }));
    this.#operation = operation;
    this.#sizes = sizes;
  }

  /** Does the operation once for each size. The first turn is not counted. */
  async time(turn: number): Promise<void> {
    for (const [i, sized] of this.#sizes.entries()) {
      const time = await timed(() => this.#operation.work(sized, turn));
      if (turn > 0) this.points[i]?.times.push(time);
    }
  }
}

function eventOf(type: string): object {
  return { type, data: { number: 1, channel: "Internet", department: "General", responsible: "Resource7", text: "x".repeat(100) } };
}

function commitOf(events: number): object {
  return { events: Array.from({ length: events }, () => eventOf("Happened")) };
}
