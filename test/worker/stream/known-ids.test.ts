/** The ids of a long stream: what the first append after a wake reads of them, and what becomes of their fingerprints. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BLOCK } from "../../../shared/edge/fingerprints.ts";
import { stock } from "../../support/shelf.ts";
import { billOf } from "../bill.ts";
import { damageStream, putLogBack, putStreamBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { guarded, newSubscribedStore } from "../edges.ts";
import { reconcileStream } from "../reconciled.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(() => {
  vi.restoreAllMocks();
});

const RUN = 100;
type Row = { readonly prints: Uint8Array; readonly end: string; readonly digest: string };

/** Appends so many events to A-1, a hundred to a run. */
async function fill(store: TestStore, count: number, version = 0): Promise<ReturnType<typeof event>[]> {
  const events = Array.from({ length: count }, () => event("Happened", { text: "kept" }));
  for (let at = 0; at < count; at += RUN) {
    expect((await store.append("A-1", version + at, ...events.slice(at, at + RUN))).status).toBe(201);
  }
  return events;
}

async function rows(store: TestStore): Promise<string[]> {
  return runInDurableObject(store.stream("A-1"), (_, { storage: { kv } }) => [...kv.list({ prefix: "!ids/" })].map(([key]) => key));
}

async function changeRow(store: TestStore, last: number, change: (row: Row) => Row | undefined): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.stream("A-1"), (_, { storage: { kv } }) => {
    const key = `!ids/${String(last).padStart(16, "0")}`;
    const row = kv.get<Row>(key);
    if (row === undefined) throw new Error(`there is no row ${key}`);
    const changed = change(row);
    if (changed === undefined) kv.delete(key);
    else kv.put(key, changed);
  });
  await evictDurableObject(store.stream("A-1"));
}

async function expectKnown(store: TestStore, events: readonly object[], version: number): Promise<void> {
  const again = await store.append("A-1", 0, events[version - 1] ?? {});
  expect([again.status, again.body]).toMatchObject([200, { version, duplicate: true }]);
  const reused = await store.append("A-1", "any", { ...events[version - 1], data: { text: "other" } });
  expect(reused.body).toMatchObject({ code: "event-id-reused" });
}

test("a row is written for each block, with the commit that completes it", async () => {
  const store = newStore();
  await fill(store, 2 * BLOCK - 48);
  expect(await rows(store)).toHaveLength(1);
  expect((await billOf(() => store.append("A-1", "any", event()))).rowsWritten).toBe(3);
  const bill = await billOf(() => store.append("A-1", "any", ...Array.from({ length: 100 }, () => event())));
  expect(bill.rowsWritten).toBe(4);
  expect(await rows(store)).toHaveLength(2);
});

test("the first append after a wake reads the rows of the blocks and the runs behind them; each id is known", async () => {
  const short = newStore();
  await fill(short, BLOCK);
  await evictDurableObject(short.stream("A-1"));
  const shorter = await billOf(() => short.append("A-1", BLOCK, event()));
  const store = newStore();
  const events = await fill(store, 3 * BLOCK);
  await evictDurableObject(store.stream("A-1"));
  const bill = await billOf(() => store.append("A-1", 3 * BLOCK, event()));
  expect(bill.rowsRead - shorter.rowsRead).toBe(2);
  for (const version of [1, BLOCK, BLOCK + 1, 2500, 3 * BLOCK]) await expectKnown(store, events, version);
  expect((await store.append("A-1", 3 * BLOCK + 1, events[5] ?? {}, event())).body).toMatchObject({ code: "event-id-reused" });
  const whole = await store.append("A-1", 0, ...events.slice(980, 1070));
  expect(whole.body).toMatchObject({ firstVersion: 981, version: 1070, duplicate: true });
  expect((await store.append("A-1", 3 * BLOCK + 1, event())).status).toBe(201);
});

test("a stream that has no rows gets them with its next appends, some with each", async () => {
  const store = newStore();
  const events = await fill(store, 1000);
  for (let at = 1000; at < 20_000; at += 1000) {
    const more = Array.from({ length: 1000 }, () => event());
    await store.append("A-1", at, ...more);
  }
  await runInDurableObject<DurableObject, void>(store.stream("A-1"), (_, { storage: { kv } }) => {
    for (const [key] of [...kv.list({ prefix: "!ids/" })]) kv.delete(key);
  });
  await evictDurableObject(store.stream("A-1"));
  await expectKnown(store, events, 7);
  expect(await rows(store)).toHaveLength(0);
  await store.append("A-1", "any", event());
  expect(await rows(store)).toHaveLength(16);
  await evictDurableObject(store.stream("A-1"));
  await expectKnown(store, events, 1000);
  await store.append("A-1", "any", event());
  expect(await rows(store)).toHaveLength(19);
});

test.each<[string, (row: Row) => Row | undefined]>([
  ["a bit has changed", (row) => ({ ...row, prints: row.prints.map((byte, i) => (i === 2000 ? byte ^ 4 : byte)) })],
  ["it was cut", (row) => ({ ...row, prints: row.prints.slice(0, -6) })],
  ["it is gone", () => undefined],
])("a row is made again if %s", async (_, change) => {
  const store = newStore();
  const events = await fill(store, 2 * BLOCK);
  const [before] = await kept(store);
  await changeRow(store, BLOCK, change);
  await expectKnown(store, events, 500);
  await store.append("A-1", "any", event());
  expect((await kept(store))[0]).toEqual(before);
});

function kept(store: TestStore): Promise<Row[]> {
  return runInDurableObject(store.stream("A-1"), (_, { storage: { kv } }) => [...kv.list<Row>({ prefix: "!ids/" })].map(([, row]) => row));
}

test("damage in a block whose row is intact keeps nobody from appending, unless an id of it comes", async () => {
  const store = newStore();
  const events = await fill(store, BLOCK + 10);
  await damageStream(store, "A-1", 300, (text) => text.replace("kept", "kfpt"));
  expect((await store.append("A-1", BLOCK + 10, event())).status).toBe(201);
  expect((await store.append("A-1", "any", events[250] ?? {})).body).toMatchObject({ code: "storage-damaged", version: 201 });
  await expectKnown(store, events, 500);
  // What is read tells.
  expect((await store.request("/streams/A-1?from=250")).body).toMatchObject({ code: "storage-damaged", version: 201 });
});

test("if a row and its runs are damaged, the stream takes no appends until it is repaired", async () => {
  const store = newStore();
  const events = await fill(store, BLOCK + 10);
  await changeRow(store, BLOCK, () => undefined);
  await damageStream(store, "A-1", 300, (text) => text.replace("kept", "kfpt"));
  expect((await store.append("A-1", BLOCK + 10, event())).body).toMatchObject({ code: "storage-damaged", version: 201 });
  expect(await reconcileStream(store, "A-1")).toMatchObject({ repaired: [{ first: 201, last: 300 }] });
  await expectKnown(store, events, 250);
  expect((await store.append("A-1", BLOCK + 10, event())).status).toBe(201);
});

test("rows of events that a reconciliation replaced are dropped", async () => {
  const store = newStore();
  const events = await fill(store, BLOCK + 10);
  await damageStream(store, "A-1", 300, (text) => text.replace("kept", "kfpt"));
  expect(await reconcileStream(store, "A-1")).toMatchObject({ repaired: [{ first: 201, last: 300 }] });
  expect(await rows(store)).toHaveLength(0);
  await expectKnown(store, events, 250);
  await store.append("A-1", "any", event());
  expect(await rows(store)).toHaveLength(1);
});

/** The stream and the log lose all versions after 900, and the stream keeps the row of its block. @returns the row */
async function loseEnd(store: TestStore): Promise<Row | undefined> {
  await fill(store, BLOCK + 80);
  const [row] = await kept(store);
  await putStreamBack(store, "A-1", 900);
  await putLogBack(store, 900);
  return row;
}

test("a row that a stream has kept behind its end, when it was put back, is written anew", async () => {
  const store = newStore();
  const stale = await loseEnd(store);
  const events = await fill(store, 300, 900);
  expect((await kept(store))[0]).not.toEqual(stale);
  await evictDurableObject(store.stream("A-1"));
  expect((await store.append("A-1", 0, events[50] ?? {})).body).toMatchObject({ version: 951, duplicate: true });
});

test("a row of events in whose place an earlier version of the edge has put others is not used", async () => {
  const store = newStore();
  const stale = await loseEnd(store);
  const events = await fill(store, 300, 900);
  // An earlier version writes no rows.
  await changeRow(store, BLOCK, () => stale);
  expect((await store.append("A-1", 0, events[50] ?? {})).body).toMatchObject({ version: 951, duplicate: true });
  await store.append("A-1", "any", event());
  expect((await kept(store))[0]).not.toEqual(stale);
});

test("a command of a block is known", async () => {
  const store = newSubscribedStore(guarded);
  const ids = Array.from({ length: 30 }, () => crypto.randomUUID());
  const give = (id: string | undefined) =>
    store.post("/streams/Stock-1/commands", { id, decider: stock.name, version: stock.version, data: { fill: 1 } });
  for (const id of ids) await give(id);
  const more = Array.from({ length: BLOCK }, () => ({ type: "Filled", data: { units: 1 } }));
  for (let at = 0; at < BLOCK; at += 512) await store.append("Stock-1", "any", ...more.slice(at, at + 512));
  await evictDurableObject(store.stream("Stock-1"));
  const again = await give(ids[7]);
  expect([again.status, again.body]).toMatchObject([200, { version: 8, duplicate: true }]);
});

test("a store that is deleted leaves no rows", async () => {
  const store = newStore();
  await fill(store, BLOCK);
  await runInDurableObject<DurableObject, void>(store.stream("A-1"), async (object) => {
    await (object as DurableObject & { erase(name: string): Promise<void> }).erase(`${store.id}/A-1`);
  });
  expect(await rows(store)).toEqual([]);
});
