/** What it costs to count and list the streams of a store: rows that are read. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { newStore, type TestStore } from "../edge-calls.ts";
import { published } from "./published.ts";
import { rowsOf, rowsReadBy } from "./rows-read.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("the streams of a store are counted once, and the count is kept", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(store, rowsOf(2000, undefined, 100), versions);
  const health = async () => {
    let streams = 0;
    const rowsRead = await rowsReadBy(store, async () => {
      streams = (await store.request("/health")).body.streams;
    });
    return { streams, rowsRead };
  };
  expect(await health()).toMatchObject({ streams: 100 });
  await published(store, [...rowsOf(3), { streamId: "New-1", size: 2 }], versions);
  const later = await health();
  expect(later.streams).toBe(101);
  // The index is told of the stream that began.
  expect(later.rowsRead).toBeLessThanOrEqual(10);
  await evictDurableObject(store.log());
  expect(await health()).toMatchObject({ streams: 101 });
});

test("a page of the list reads some rows for each of its streams, wherever it begins and however long they are", async () => {
  const counts: number[] = [];
  for (const rows of [1, 40]) {
    const store = newStore();
    const steps = ["A", "B", "C"].flatMap((category) =>
      Array.from({ length: 30 * rows }, (_, i) => ({ streamId: `${category}-${10 + (i % 30)}`, size: 1 })),
    );
    await published(store, steps);
    for (const query of ["?limit=10", "?limit=10&after=B-25", "?limit=10&category=C", "?limit=10&category=C&after=C-20"]) {
      const page = { streams: [] as readonly object[] };
      const rowsRead = await rowsReadBy(store, async () => Object.assign(page, (await store.request(`/streams${query}`)).body));
      expect([query, page.streams.length]).toEqual([query, 10]);
      counts.push(rowsRead);
    }
  }
  expect(counts.slice(0, 4)).toEqual(counts.slice(4));
  expect(Math.max(...counts)).toBeLessThanOrEqual(11 * 5);
});

/** The count of streams, and the rows that `/health` reads of the log after a wake. */
async function healthOf(store: TestStore): Promise<readonly [streams: number, rowsRead: number]> {
  await evictDurableObject(store.log());
  let streams = 0;
  const rowsRead = await rowsReadBy(store, async () => {
    streams = (await store.request("/health")).body.streams;
  });
  return [streams, rowsRead];
}

test("health reads as much of a long log as of a short one, once the index was told of it", async () => {
  const [short, long] = [newStore(), newStore()];
  for (const [store, rows] of [
    [short, 20],
    [long, 3000],
  ] as const) {
    await published(store, rowsOf(rows, undefined, 20));
    await runDurableObjectAlarm(store.log());
  }
  const [[few, least], [many, most]] = [await healthOf(short), await healthOf(long)];
  expect([few, many, most]).toEqual([20, 20, least]);
  // Streams that begin before the index is told of them are counted, too.
  await published(long, [{ streamId: "New-1", size: 2 }]);
  expect((await long.request("/health")).body.streams).toBe(21);
});

test("streams are counted by the first of their rows that is there; a version that did not count is made up for", async () => {
  const store = newStore();
  await published(store, rowsOf(60, undefined, 20));
  await runDurableObjectAlarm(store.log());
  expect((await healthOf(store))[0]).toBe(20);
  await runInDurableObject(store.log(), (_, { storage: { sql, kv } }) => {
    sql.exec("DELETE FROM runs WHERE last_position = 5");
    const { begun, ...indexed } = kv.get<{ begun?: object }>("indexed") ?? {};
    expect(begun).toEqual({ position: 60, streams: 20 });
    kv.put("indexed", indexed);
  });
  expect((await healthOf(store))[0]).toBe(20);
  await runInDurableObject(store.log(), (_, { storage: { kv } }) => {
    kv.put("indexed", { ...kv.get<object>("indexed"), begun: { position: 59, streams: 7 } });
  });
  expect((await healthOf(store))[0]).toBe(20);
});
