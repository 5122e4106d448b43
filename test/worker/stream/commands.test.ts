/** Commands that the edge decides, in workerd: what they cost, and what is kept when the object goes away. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { parseStreamId } from "../../../shared/stream-id.ts";
import { stock } from "../../support/shelf.ts";
import { billOf } from "../bill.ts";
import { newStore } from "../edge-calls.ts";
import { guarded, newSubscribedStore, type SubscribedStore } from "../edges.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const open = () => newSubscribedStore(guarded);
const give = (store: SubscribedStore, data: object, id: string = crypto.randomUUID()) =>
  store.post("/streams/Stock-1/commands", { id, decider: stock.name, version: stock.version, data });

test("a hundred guarded commits write the rows of any others, and one more: the snapshot", async () => {
  const store = open();
  await give(store, { fill: 1 });
  await store.append("Other-1", 0, { type: "Filled", data: { units: 1 } });
  const plain = await billOf(async () => {
    for (let n = 1; n <= 100; n++) await store.append("Other-1", n, { type: "Filled", data: { units: 1 } });
  });
  const decided = await billOf(async () => {
    for (let n = 0; n < 100; n++) expect((await give(store, { fill: 1 })).status).toBe(201);
  });
  console.log(`rows written by 100 commits: ${plain.rowsWritten} unguarded, ${decided.rowsWritten} guarded`);
  expect(decided.rowsWritten - plain.rowsWritten).toBe(1);
  expect(decided.rowsRead).toBeLessThanOrEqual(plain.rowsRead + 100);
});

test("what an object has folded and noted is there after it was evicted", async () => {
  const store = open();
  const refused = crypto.randomUUID();
  for (let n = 0; n < 120; n++) await give(store, { fill: 1 });
  await give(store, { take: 999 }, refused);
  await runDurableObjectAlarm(store.stream("Stock-1"));
  await evictDurableObject(store.stream("Stock-1"));
  expect((await give(store, { take: 999 }, refused)).body).toMatchObject({ code: "command-refused", detail: "Only 120 are left." });
  expect((await give(store, { take: 121 })).body).toMatchObject({ code: "command-refused", detail: "Only 120 are left." });
  expect((await give(store, { take: 120 })).status).toBe(201);
});

test("a snapshot that storage has changed is not used", async () => {
  const store = open();
  for (let n = 0; n < 110; n++) await give(store, { fill: 1 });
  await runInDurableObject(store.stream("Stock-1"), (_, { storage: { kv } }) => {
    const snapshot = kv.get<{ state: Uint8Array; version: number }>("!snapshot");
    expect({ ...snapshot, state: new TextDecoder().decode(snapshot?.state) }).toMatchObject({ version: 100, state: '{"left":100}' });
    kv.put("!snapshot", { ...snapshot, state: new TextEncoder().encode('{"left":900}') });
  });
  await evictDurableObject(store.stream("Stock-1"));
  expect((await give(store, { take: 111 })).body).toMatchObject({ detail: "Only 110 are left." });
});

test("a stream whose events were replaced is folded anew, and what was refused stays refused", async () => {
  const store = open();
  const refused = crypto.randomUUID();
  for (let n = 0; n < 101; n++) await give(store, { fill: 1 });
  await give(store, { take: 102 }, refused);
  const keys = () => runInDurableObject(store.stream("Stock-1"), (_, { storage: { kv } }) => [...kv.list()].map(([key]) => key));
  expect((await keys()).filter((key) => key.startsWith("!")).map((key) => key.split("/")[0])).toEqual(["!refused", "!snapshot"]);
  // The stream loses its end, and takes it back from the log.
  await runInDurableObject(store.stream("Stock-1"), (_, { storage: { kv } }) => {
    const last = [...kv.list()].map(([key]) => key).at(-1) ?? "";
    kv.delete(last);
  });
  await evictDurableObject(store.stream("Stock-1"));
  expect((await store.post("/reconcile/streams", { streams: [{ streamId: "Stock-1" }] })).status).toBe(200);
  expect((await keys()).filter((key) => key.startsWith("!"))).toEqual([expect.stringMatching("!refused/")]);
  expect((await give(store, { take: 102 })).body).toMatchObject({ detail: "Only 101 are left." });
  await give(store, { fill: 100 });
  expect((await give(store, { take: 102 }, refused)).body).toMatchObject({ detail: "Only 101 are left." });
});

test("an object of a version without the decider records nothing undecided, as in the middle of a deployment", async () => {
  const store = newStore();
  const events = [
    {
      id: crypto.randomUUID(),
      type: "StockTaken",
      schemaVersion: 1,
      data: { units: 999 },
      metadata: {},
      occurredAt: "2026-01-31T09:30:00.000Z",
    },
  ];
  const command = { id: crypto.randomUUID(), decider: stock.name, version: stock.version, data: { take: 999 } };
  const commit = { streamId: parseStreamId("Stock-1"), expectedVersion: "any" as const, events, command };
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  using outcome = (await store.stream("Stock-1").decide(`${store.id}/Stock-1`, [commit], null, "stream")) as Disposable & object;
  expect(outcome).toMatchObject({ refused: { code: "unavailable" } });
  expect((await store.request("/streams/Stock-1")).status).toBe(404);
});
