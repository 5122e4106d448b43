/**
 * Measures modelling in the browser: folds and projections, with plain folds of the same events in memory as the baseline, and the time
 * until a change is seen.
 */
import { type Decider, type LiveValue, openStore, type Projection, type Store } from "../../client/index.ts";
import { beginningOf, fold } from "../../shared/decider/decider.ts";
import { compare, type Measurement, timed } from "../measure.ts";

/** The milliseconds of each repetition, by what was measured. */
export type Latencies = readonly { readonly what: string; readonly times: readonly number[] }[];

export interface ModelTimes {
  readonly measurements: readonly Measurement[];
  readonly latencies: Latencies;
}

interface Step {
  readonly type: string;
  readonly data: unknown;
}
interface State {
  readonly steps: number;
  readonly last: string;
}

const FOLDED = 10_000;
const READS = 500;
const CHANGES = 200;
/** Of a commit. */
const COMMIT = 50;
const PAGE = 1_000;

const data = { channel: "Internet", actor: "someone", text: "x".repeat(100) };
const steps = (count: number) => Array.from({ length: count }, (_, i) => ({ type: `Step${i % 10}`, data: { ...data, number: i } }));
const evolve = (state: State | undefined, { type }: Step): State => ({ steps: (state?.steps ?? 0) + 1, last: type });

const deciderOf = (version: number): Decider<State, never, never, Step> => ({
  name: "steps",
  version,
  initialState: { steps: 0, last: "" },
  evolve,
  decide: () => [],
});
const projectionOf = (name: string, version = 1): Projection<State, Step & { readonly streamId: string }> => ({
  name,
  version,
  indexes: ["last"],
  evolve,
});

const before = projectionOf("rebuilt");
const after = projectionOf("rebuilt", 2);

/** One that is called when the page has time. WebKit has no such callback. */
const idle = () => new Promise<void>((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(() => resolve()));

const open = (name: string) => openStore({ name, durability: "relaxed" });

export async function measureModel(streams: number): Promise<ModelTimes> {
  const folds = await measureFolds();
  const name = "model-projection";
  let store = await open(name);
  // As many events at once as a feed page holds: events that are appended together are read together.
  for (let stream = 0; stream < streams; stream += PAGE / COMMIT) {
    const appends = Array.from({ length: PAGE / COMMIT }, (_, i) => store.appendToStream(`Step-${stream + i}`, steps(COMMIT)));
    await Promise.all(appends);
  }
  const measurements = [...folds, ...(await measureProjection(store, streams))];
  const latencies = [...(await measureRead(store, streams, "a row by its key, nothing rebuilt"))];
  await store.close();
  store = await open(name);
  latencies.push(...(await measureRebuild(store, streams)), ...(await measureLive(store)));
  await store.close();
  return { measurements, latencies };
}

async function measureFolds(): Promise<Measurement[]> {
  const store = await open("model-fold");
  for (let i = 0; i < FOLDED / 100; i++) await store.appendToStream("Fold-1", steps(100));
  const { events } = await store.readStream("Fold-1");
  const inMemory = async () => {
    // One fold is too short for the browser's clock.
    const time = await timed(async () => {
      for (let i = 0; i < 50; i++) kept = fold(deciderOf(1), beginningOf(deciderOf(1)), events, false);
    });
    return time / 50;
  };
  let version = 0;
  const facts = { count: FOLDED, unit: "events" };
  // Each time a decider that has no snapshot yet.
  const without = () => timed(() => store.aggregateStream("Fold-1", deciderOf(++version)));
  const name = "fold of a stream of 10,000, no snapshot";
  const plain = "a fold in memory of the same events";
  const results = [
    await compare({ ...facts, name, baseline: plain }, without, inMemory),
    await compare({ ...facts, name, baseline: "reading the stream, then a fold in memory" }, without, () =>
      timed(async () => {
        const slice = await store.readStream("Fold-1");
        kept = fold(deciderOf(1), beginningOf(deciderOf(1)), slice.events, false);
      }),
    ),
  ];
  await snapshotTaken(store, ++version);
  const last = deciderOf(version);
  const withSnapshot = () => timed(() => store.aggregateStream("Fold-1", last));
  results.push(await compare({ ...facts, name: "the same, with a snapshot", baseline: plain }, withSnapshot, inMemory, 20));
  await store.close();
  return results;
}

/** The last result of a fold. If nothing used the result, the JavaScript engine could skip the fold. */
export let kept: unknown;

async function snapshotTaken(store: Store, version: number): Promise<void> {
  for (let folded = -1; folded !== 0; ) {
    folded = 0;
    const counting = {
      ...deciderOf(version),
      evolve: (state: State, step: Step) => {
        folded++;
        return evolve(state, step);
      },
    };
    await store.aggregateStream("Fold-1", counting);
    await idle();
  }
}

let built = 0;

async function measureProjection(store: Store, streams: number): Promise<Measurement[]> {
  const events: (Step & { readonly streamId: string })[] = [];
  for await (const event of store.readAll()) events.push(event);
  const ours = () => timed(async () => (await store.project(projectionOf(`steps-${++built}`))).caughtUp());
  const intoMap = (all: Iterable<Step & { readonly streamId: string }>) => {
    const rows = new Map<string, State>();
    for (const event of all) rows.set(event.streamId, evolve(rows.get(event.streamId), event));
    kept = rows;
  };
  const facts = {
    name: `projection of ${events.length.toLocaleString("en")} events into ${streams.toLocaleString("en")} rows`,
    count: events.length,
    unit: "events",
  };
  return [
    await compare(
      { ...facts, baseline: "a fold in memory of the same events into a Map" },
      ours,
      () => timed(async () => intoMap(events)),
      3,
    ),
    await compare(
      { ...facts, baseline: "reading the feed, then the same fold" },
      ours,
      () =>
        timed(async () => {
          const read: (Step & { readonly streamId: string })[] = [];
          for await (const event of store.readAll()) read.push(event);
          intoMap(read);
        }),
      3,
    ),
  ];
}

async function measureRead(store: Store, streams: number, what: string): Promise<Latencies> {
  const table = await store.project(before);
  await table.caughtUp();
  const times: number[] = [];
  for (let i = 0; i < READS; i++) times.push(await timed(() => table.get(`Step-${(i * 7) % streams}`)));
  return [{ what, times }];
}

/** Reads while the next version of the projection is built. */
async function measureRebuild(store: Store, streams: number): Promise<Latencies> {
  const times: number[] = [];
  const table = await store.project(after);
  for (let i = 0; table.status.state !== "ready"; i++) {
    if (table.status.state === "failed") throw table.status.error;
    times.push(await timed(() => table.get(`Step-${(i * 7) % streams}`)));
  }
  return [{ what: "the same while it is rebuilt", times }];
}

async function measureLive(store: Store): Promise<Latencies> {
  const table = await store.project(after);
  await table.caughtUp();
  const state = store.live("Live-1", deciderOf(1));
  const row = table.live({ equals: "Live-1" });
  const some = table.live({ index: "last", equals: "Changed" });
  const times = await changes(store, "until store.live's listener is called", state, (value) => value.version);
  const rows = await changes(store, "until that of table.live of one row", row, (value) => value.rows[0]?.row.steps ?? 0);
  const index = await changes(store, "until that of table.live of an index's value", some, (value) => value.rows[0]?.row.steps ?? 0);
  return [times, rows, index].flat();
}

/** Appends one event after the other, each until the listener was called. @param versionOf the stream's version that a value is of */
async function changes<T>(store: Store, what: string, live: LiveValue<T>, versionOf: (value: T) => number): Promise<Latencies> {
  const appended: number[] = [];
  const seen: number[] = [];
  let { version } = await store.aggregateStream("Live-1", deciderOf(1));
  let heard: () => void = () => undefined;
  const off = live.subscribe((value) => {
    if (versionOf(value) >= version) heard();
  });
  // The first 20 are not counted.
  for (let i = -20; i < CHANGES; i++) {
    version++;
    const isHeard = new Promise<number>((resolve) => {
      heard = () => resolve(performance.now());
    });
    const start = performance.now();
    await store.appendToStream("Live-1", [{ type: "Changed", data }]);
    const took = performance.now() - start;
    const until = (await isHeard) - start;
    if (i < 0) continue;
    appended.push(took);
    seen.push(until);
  }
  off();
  return [
    { what: `from an append ${what}`, times: seen },
    { what: "the same appends until they resolve", times: appended },
  ];
}
