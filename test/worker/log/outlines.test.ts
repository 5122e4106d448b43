/** Blocks of the log in which nothing matches are passed over by their outlines: what is read, and that nobody misses an event. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { OUTLINED } from "../../../shared/edge/outline.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { published } from "./published.ts";
import { rowsOf, rowsReadBy } from "./rows-read.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Six blocks, and the beginning of another one. The events of one type are in the first and in the fifth. */
const RARE = [7, 4 * OUTLINED + 100];
const SIZE = 6 * OUTLINED + 1;

async function filled(): Promise<TestStore> {
  const store = newStore();
  await published(
    store,
    rowsOf(SIZE, (i) => (RARE.includes(i + 1) ? "Rare" : "Happened")),
  );
  return store;
}

async function positionsOf(store: TestStore, query: string): Promise<(number | null)[]> {
  const found: (number | null)[] = [];
  let after = 0;
  for (;;) {
    const { body } = await store.request(`/feed?after=${after}${query}`);
    found.push(...body.events.map(({ position }) => position));
    if (body.position === body.head) return found;
    after = body.position;
  }
}

async function outlined(store: TestStore): Promise<number[]> {
  const query = "SELECT block FROM outlines ORDER BY block";
  return runInDurableObject(store.log(), (_, { storage }) =>
    storage.sql
      .exec<{ block: number }>(query)
      .toArray()
      .map(({ block }) => block),
  );
}

/** What a reader reads who is the first since the log has woken: nothing is remembered of its filter. */
async function rowsReadAfterWake(store: TestStore, query: string): Promise<number> {
  await evictDurableObject(store.log());
  return rowsReadBy(store, () => positionsOf(store, query));
}

test("who looks through blocks in vain has them outlined, and the next reader passes over them, by any filter", async () => {
  const store = await filled();
  expect(await positionsOf(store, "&type=Rare")).toEqual(RARE);
  expect(await outlined(store)).toEqual([1, 2, 3, 5]);
  // The two blocks with a match are looked at, and what is behind the last block.
  const ofRare = await rowsReadAfterWake(store, "&type=Rare");
  expect(ofRare).toBeGreaterThan(2 * OUTLINED);
  expect(ofRare).toBeLessThan(2.1 * OUTLINED);
  expect(await positionsOf(store, "&type=None")).toEqual([]);
  expect(await outlined(store)).toEqual([0, 1, 2, 3, 4, 5]);
  for (const query of ["&type=None", "&category=None", "&within=None", "&since=2100-01-01T00:00:00Z", "&correlation=none"])
    expect(await rowsReadAfterWake(store, query)).toBeLessThan(50);
  expect(await positionsOf(store, "&type=Rare")).toEqual(RARE);
});

test("who reads everything, or finds something in each block, makes no outline", async () => {
  const store = newStore();
  await published(
    store,
    rowsOf(3 * OUTLINED + 1, (i) => (i % 500 === 0 ? "Often" : "Happened")),
  );
  await positionsOf(store, "");
  expect(await positionsOf(store, "&type=Often")).toHaveLength(7);
  expect(await outlined(store)).toEqual([]);
});

test("an event that comes later is found, by who asks again and by who asks from the beginning", async () => {
  const store = await filled();
  await positionsOf(store, "&type=None");
  await store.append("New-1", 0, event("None"));
  expect((await store.request(`/feed?after=${SIZE}&type=None`)).body.events).toHaveLength(1);
  expect(await positionsOf(store, "&type=None")).toEqual([SIZE + 1]);
});

test.each([
  ["facts", `UPDATE outlines SET facts = replace(facts, 'Rare', 'Rars') WHERE block = 4`],
  ["a mark", `UPDATE outlines SET mark = 'f' || substr(mark, 2) WHERE block = 4`],
  ["an end", `UPDATE outlines SET last_position = last_position + 1 WHERE block = 3`],
])("an outline with damaged %s counts for nothing, and is made again", async (_, damage) => {
  const store = await filled();
  for (const query of ["&type=None", "&correlation=none"]) await positionsOf(store, query);
  await runInDurableObject(store.log(), (_log, { storage }) => void storage.sql.exec(damage));
  await evictDurableObject(store.log());
  expect(await positionsOf(store, "&type=Rare")).toEqual(RARE);
  await evictDurableObject(store.log());
  await positionsOf(store, "&type=None");
  expect(await rowsReadAfterWake(store, "&type=None")).toBeLessThan(50);
});

test("damaged correlations count for nothing", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(store, rowsOf(2 * OUTLINED - 1), versions);
  await store.append("C-1", 0, { ...event(), metadata: { correlationId: "c-1" } });
  await published(store, rowsOf(OUTLINED), versions);
  await positionsOf(store, "&type=None");
  expect(await outlined(store)).toContain(1);
  await runInDurableObject(store.log(), (_, { storage }) => void storage.sql.exec("UPDATE outlines SET correlations = zeroblob(4096)"));
  await evictDurableObject(store.log());
  expect(await positionsOf(store, "&correlation=c-1")).toEqual([2 * OUTLINED]);
});

test("an outline of a history that the log has no more counts for nothing", async () => {
  const store = await filled();
  await positionsOf(store, "&type=Never");
  await runInDurableObject(
    store.log(),
    (_, { storage }) => void storage.sql.exec("DELETE FROM runs WHERE last_position > ?", 2 * OUTLINED),
  );
  await evictDurableObject(store.log());
  await published(
    store,
    rowsOf(2 * OUTLINED, () => "Never").map((step) => ({ ...step, streamId: "B-1" })),
  );
  expect(await positionsOf(store, "&type=Never&limit=1000")).toHaveLength(2 * OUTLINED);
});

test("damage within a block is met by who needs it, and by nobody else, if the outline says so", async () => {
  const store = await filled();
  await positionsOf(store, "&type=None");
  await runInDurableObject(store.log(), (_, { storage }) => {
    storage.sql.exec("UPDATE runs SET events = replace(events, 'Happened', 'Happenes') WHERE last_position = ?", 3 * OUTLINED - 5);
  });
  await evictDurableObject(store.log());
  expect(await positionsOf(store, "&type=Rare")).toEqual(RARE);
  const { body } = await store.request(`/feed?after=${3 * OUTLINED - 6}&type=Happened`);
  expect(body).toMatchObject({ code: "storage-damaged" });
});

test("a block with rows that are missing gets no outline, and its readers are told", async () => {
  const store = await filled();
  await runInDurableObject(
    store.log(),
    (_, { storage }) => void storage.sql.exec("DELETE FROM runs WHERE last_position = ?", 3 * OUTLINED - 5),
  );
  await evictDurableObject(store.log());
  const { body } = await store.request("/feed?type=None");
  expect(body.position).toBe(3 * OUTLINED - 6);
  const skipped = (await store.request("/feed?type=None&damaged=skip")).body;
  expect(skipped).toMatchObject({ position: SIZE, damaged: [{ first: 3 * OUTLINED - 5, last: 3 * OUTLINED - 5 }] });
  expect(await outlined(store)).toEqual([0, 1, 3, 4, 5]);
});

test("a storage that is full keeps no reader away", async () => {
  const store = await filled();
  await runInDurableObject(store.log(), (_, { storage }) => {
    const { exec } = storage.sql;
    vi.spyOn(storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      if (query.startsWith("INSERT")) throw new Error("database or disk is full: SQLITE_FULL");
      return exec.call(storage.sql, query, ...bindings);
    }) as SqlStorage["exec"]);
  });
  expect(await positionsOf(store, "&type=Rare")).toEqual(RARE);
  vi.restoreAllMocks();
  expect(await outlined(store)).toEqual([]);
});
