/** How operations on a device grow: with the events and the streams of a store, with what is pending, and with the length of a stream. */
import type { Store } from "../../client/index.ts";
import { timed } from "../measure.ts";
import { feedInPage } from "./feed-in-page.ts";
import {
  createSized,
  type GrowthLine,
  inTurn,
  openSized,
  RARE,
  recorded,
  removeAll,
  type Sized,
  type SizedStore,
  STEPS_ROWS,
  stepsDecider,
  streamOf,
} from "./growth-store.ts";

const PAGE = 1_000;
const ROWS = 20;
/** Commits that are appended at once, to fill an outbox. */
const AT_ONCE = 500;

const step = (text: string) => ({ type: "Step", data: { text } });

/** Along the events of a store, or its streams. */
export async function measureSizes(sizes: readonly Sized[], repetitions: number): Promise<GrowthLine[]> {
  const stores: SizedStore[] = [];
  for (const size of sizes) stores.push(await createSized(size));
  const reads = { next: 0 };
  const aStream = ({ streams }: SizedStore) => streamOf((reads.next++ * 7) % streams);
  const lines = await inTurn(stores, repetitions, async (sized) => {
    const start = performance.now();
    const store = await openSized(sized);
    await store.readStream(aStream(sized));
    const opened = performance.now() - start;
    const started = await timed(() => store.sync());
    await store.close();
    return { "open, until a first stream is read": opened, "start a sync that finds nothing new": started };
  });
  // Before anything is pending, which a sync would have to send.
  lines.push(
    ...(await inOpenStores(stores, repetitions, async (store, sized) => {
      sized.feed.grow(PAGE);
      return { "receive and apply a page of 1,000 events": await timed(() => store.sync()) };
    })),
  );
  lines.push(
    ...(await inOpenStores(stores, repetitions, async (store, sized) => ({
      "read a stream": await timed(() => store.readStream(aStream(sized))),
      "read the ten events of a rare type": await timed(async () => {
        let found = 0;
        for await (const _ of store.readAll({ type: RARE })) found++;
        if (found !== 10) throw new Error(`${found} events are rare`);
      }),
    }))),
  );
  lines.push(
    ...(await inTurn(stores, repetitions, async (sized) => {
      const store = await openSized(sized);
      const first = await timed(() => store.appendToStream(aStream(sized), [step("first")]));
      await store.close();
      return { "the first append after opening": first };
    })),
  );
  lines.push(
    ...(await inOpenStores(stores, repetitions, async (store, sized) => ({
      append: await timed(() => store.appendToStream(aStream(sized), [step("more")])),
    }))),
  );
  await removeAll(stores);
  return lines;
}

async function inOpenStores(
  stores: readonly SizedStore[],
  repetitions: number,
  work: (store: Store, sized: SizedStore) => Promise<Readonly<Record<string, number>>>,
): Promise<GrowthLine[]> {
  const open: { at: number; store: Store; sized: SizedStore }[] = [];
  for (const sized of stores) open.push({ at: sized.at, store: await openSized(sized), sized });
  const lines = await inTurn(open, repetitions, ({ store, sized }) => work(store, sized));
  for (const { store } of open) await store.close();
  return lines;
}

/** Along what is pending, in a store of 10,000 confirmed events. The operations themselves add some commits to it. */
export async function measurePending(counts: readonly number[], repetitions: number): Promise<GrowthLine[]> {
  const stores: SizedStore[] = [];
  const open: { at: number; store: Store; sized: SizedStore }[] = [];
  for (const at of counts) {
    const sized = await createSized({ at, events: 10_000, streams: 500 });
    const store = await openSized(sized);
    for (let from = 0; from < at; from += AT_ONCE) {
      const numbers = Array.from({ length: Math.min(AT_ONCE, at - from) }, (_, i) => from + i);
      await Promise.all(numbers.map((number) => store.appendToStream(`Pending-${number % 100}`, [step("pending")])));
    }
    stores.push(sized);
    open.push({ at, store, sized });
  }
  const lives = new Map<Store, { query: () => Promise<unknown>; appendAndSee: () => Promise<number>; off: () => void }>();
  for (const { store } of open) lives.set(store, await watchRows(store));
  const live = (store: Store) => {
    const found = lives.get(store);
    if (found === undefined) throw new Error("The rows are not watched.");
    return found;
  };
  const decider = stepsDecider(1);
  let reads = 0;
  const lines = await inTurn(open, repetitions, async ({ store, sized }) => ({
    "read a stream of 20 events": await timed(() => store.readStream(streamOf((reads++ * 7) % sized.streams))),
    "query 20 rows beside a live list of them": await timed(live(store).query),
  }));
  const appends = await inTurn(open, repetitions, async ({ store }) => ({
    "append beside a live list of 20 rows": await timed(() => store.appendToStream("Appended-1", [step("one")])),
    "handle a command beside it": await timed(() => store.handle("Handled-1", decider, "step")),
    "from an append until the live list shows it": await live(store).appendAndSee(),
  }));
  for (const { store } of open) {
    live(store).off();
    await store.close();
  }
  await removeAll(stores);
  return [...lines, ...appends];
}

/** A list of 20 rows that somebody looks at. It shows `A-Seen-1`, which comes first. */
async function watchRows(store: Store): Promise<{ query: () => Promise<unknown>; appendAndSee: () => Promise<number>; off: () => void }> {
  const table = await store.project(STEPS_ROWS);
  await table.caughtUp();
  const list = table.live({ limit: ROWS });
  let version = 0;
  let onSeen: () => void = () => undefined;
  const off = list.subscribe(({ rows }) => {
    if ((rows.find(({ key }) => key === "A-Seen-1")?.row.steps ?? 0) >= version && version > 0) onSeen();
  });
  return {
    query: () => table.query({ limit: ROWS }),
    appendAndSee: async () => {
      version++;
      const seen = new Promise<void>((resolve) => {
        onSeen = resolve;
      });
      return timed(async () => {
        await store.appendToStream("A-Seen-1", [step("seen")]);
        await seen;
      });
    },
    off,
  };
}

/** Along the length of a stream. All streams are in one store. */
export async function measureLengths(lengths: readonly number[], repetitions: number): Promise<GrowthLine[]> {
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));
  const all = lengths.reduce((sum, length) => sum + length, 0);
  const feed = feedInPage(all, (position) => {
    const index = starts.findLastIndex((start) => start < position);
    return recorded(position, `Long-${lengths[index]}`, position - (starts[index] ?? 0), `Step${position % 10}`);
  });
  const name = "growth-lengths";
  const store = await openSized({ name, feed });
  await store.sync();
  const streams = lengths.map((at) => ({ at, streamId: `Long-${at}` }));
  let version = 1;
  const lines = await inTurn(streams, repetitions, async ({ streamId }) => ({
    "read all of the stream": await timed(() => store.readStream(streamId)),
    "read its last 20 events": await timed(() => store.readStream(streamId, { direction: "backwards", limit: 20 })),
    "fold it, without a snapshot": await timed(() => store.aggregateStream(streamId, stepsDecider(++version))),
  }));
  const decider = stepsDecider(1);
  const writes = await inTurn(streams, repetitions, async ({ streamId }) => ({
    "append to it": await timed(() => store.appendToStream(streamId, [step("one")])),
    "handle a command on it, again": await timed(() => store.handle(streamId, decider, "step")),
  }));
  await store.close();
  await removeAll([{ name }]);
  return [...lines, ...writes];
}
