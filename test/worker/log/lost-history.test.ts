/** A log that does not have any more what it once had: an object beside it remembers that, and the health says so. */
import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { LogObject } from "../../../worker/log/log-object.ts";
import { loseObject, putLogBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const indexOf = (store: TestStore) => env.LOGS.getByName(`${store.id}/streams`);
const healthOf = async (store: TestStore) => (await store.request("/health")).body;
const MARK = expect.stringMatching(/^[0-9a-f]{16}$/);
const lostOf = async (store: TestStore) => (await healthOf(store)).lostHistory;

/** Positions 1 to 3, and an index that knows them. */
async function known(): Promise<{ store: TestStore; log: string }> {
  const store = newStore();
  await store.append("A-1", 0, event());
  await store.append("B-1", 0, event());
  await store.append("A-1", 1, event());
  const { log, lostHistory } = await healthOf(store);
  expect(lostHistory).toBeNull();
  return { store, log };
}

/** What the object has in its storage besides its tables, to be put back later. */
function copyOf(object: ReturnType<typeof indexOf>) {
  return runInDurableObject(object, (_, { storage }) => Array.from(storage.kv.list()));
}

async function putBack(object: ReturnType<typeof indexOf>, entries: readonly (readonly [string, unknown])[]): Promise<void> {
  await runInDurableObject(object, (_, { storage }) => {
    for (const [key] of Array.from(storage.kv.list())) storage.kv.delete(key);
    for (const [key, value] of entries) storage.kv.put(key, value);
  });
  await evictDurableObject(object);
}

/** Lines of faults of a store: the logs of other tests have alarms, too. */
function faults(of: TestStore): () => { where: string; store: string; position?: number }[] {
  const lines = vi.spyOn(console, "error").mockImplementation(() => undefined);
  return () => lines.mock.calls.map(([line]) => JSON.parse(line)).filter(({ store }) => store === of.id);
}

const reconcile = (store: TestStore, body: object) => store.request("/reconcile/log", { method: "POST", body: JSON.stringify(body) });

test("a log that has lost its last row says so, until its stream has sent the event again", async () => {
  const { store, log } = await known();
  const told = faults(store);
  const { mark } = (await store.request("/feed")).body;
  await putLogBack(store, 2);
  expect(await healthOf(store)).toMatchObject({ head: 2, lostHistory: { log, head: 3, mark } });
  expect(told()).toEqual([expect.objectContaining({ where: "log-put-back", store: store.id, position: 3 })]);
  expect(await lostOf(store)).toEqual({ log, head: 3, mark: MARK });
  expect(told()).toHaveLength(1);
  await evictDurableObject(store.stream("A-1"));
  await store.request("/streams/A-1");
  expect(await healthOf(store)).toMatchObject({ head: 3, lostHistory: null });
});

test("a log that was put back and has grown since has another history, until an operator accepts it", async () => {
  const { store, log } = await known();
  const told = faults(store);
  const entries = await copyOf(store.log());
  await store.append("A-1", 2, event());
  await store.append("B-1", 1, event());
  expect(await healthOf(store)).toMatchObject({ head: 5, lostHistory: null });
  await putLogBack(store, 3);
  await putBack(store.log(), entries);
  await store.append("C-1", 0, event());
  await store.append("C-1", 1, event());
  await evictDurableObject(store.log());
  // Nobody has asked: the log's own alarm compares them.
  await runDurableObjectAlarm(store.log());
  expect(told()).toContainEqual(expect.objectContaining({ where: "log-put-back", store: store.id, position: 5 }));
  expect(await healthOf(store)).toMatchObject({ head: 5, lostHistory: { log, head: 5 } });
  await reconcile(store, { after: 0, accept: true, dryRun: true });
  expect(await lostOf(store)).toEqual({ log, head: 5, mark: MARK });
  await reconcile(store, { after: 0 });
  expect(await lostOf(store)).toEqual({ log, head: 5, mark: MARK });
  await reconcile(store, { after: 5, accept: true });
  expect(await lostOf(store)).toBeNull();
  await evictDurableObject(store.log());
  expect(await lostOf(store)).toBeNull();
});

test("a log that was deleted says what it had, with its id of then, until its streams have sent the same history", async () => {
  const { store, log } = await known();
  faults(store);
  await loseObject(store.log());
  const empty = await healthOf(store);
  expect(empty).toMatchObject({ head: 0, lostHistory: { log, head: 3 } });
  expect(empty.log).not.toBe(log);
  await loseObject(indexOf(store));
  await evictDurableObject(store.log());
  // Nobody knows any more.
  expect(await lostOf(store)).toBeNull();
});

test("the index is told again if it was lost or put back, and remembers what the log has told before", async () => {
  const { store, log } = await known();
  const entries = await copyOf(indexOf(store));
  const told = faults(store);
  await store.append("C-1", 0, event());
  expect(await lostOf(store)).toBeNull();
  for (const damage of [() => loseObject(indexOf(store)), () => putBack(indexOf(store), entries)]) {
    await damage();
    await evictDurableObject(store.log());
    expect(await lostOf(store)).toBeNull();
    // Once for the index that is lost, and once for what it is told.
    expect(await lostOf(store)).toBeNull();
    const { body } = await store.request("/reconcile/streams");
    expect(body.streams).toEqual(["A-1", "B-1", "C-1"]);
    expect(told().splice(-1)).toEqual([expect.objectContaining({ where: "index", store: store.id })]);
  }
  // Both have lost something: the log's own note is left.
  await loseObject(indexOf(store));
  await putLogBack(store, 3);
  expect(await lostOf(store)).toEqual({ log, head: 4, mark: MARK });
  expect(await lostOf(store)).toEqual({ log, head: 4, mark: MARK });
  // An alarm that is due at once would go off in the test behind.
  while (await runDurableObjectAlarm(store.log()));
});

test("an index that can't be reached leaves it open, and the log line says so", async () => {
  const { store } = await known();
  const told = faults(store);
  await evictDurableObject(store.log());
  const remembered = vi.spyOn(LogObject.prototype, "rememberEnd").mockRejectedValue(new Error("the index is unreachable"));
  const health = await healthOf(store);
  expect(health).toMatchObject({ head: 3 });
  expect(health).not.toHaveProperty("lostHistory");
  expect(told()).toEqual([expect.objectContaining({ where: "index", store: store.id })]);
  remembered.mockRestore();
  expect(await lostOf(store)).toBeNull();
});

test("an end that could not be told is told by the next alarm", async () => {
  const { store } = await known();
  faults(store);
  await store.append("A-1", 2, event());
  await evictDurableObject(store.log());
  const remember = vi.spyOn(LogObject.prototype, "rememberEnd").mockRejectedValue(new Error("the index is unreachable"));
  await runDurableObjectAlarm(store.log());
  expect(remember).toHaveBeenCalled();
  remember.mockRestore();
  await evictDurableObject(store.log());
  expect(await runDurableObjectAlarm(store.log())).toBe(true);
  const end = await runInDurableObject(indexOf(store), (_, { storage }) => storage.kv.get("end"));
  expect(end).toMatchObject({ head: 4 });
});

test("a log that is damaged where its end was can't be compared, and what is remembered stays", async () => {
  const { store, log } = await known();
  faults(store);
  const entries = await copyOf(indexOf(store));
  await runInDurableObject(store.log(), (_, { storage }) => {
    // Position 3 is within a row that can't be read.
    storage.sql.exec("UPDATE runs SET events = 'damaged', last_position = 4, last_version = 3 WHERE last_position = 3");
  });
  await evictDurableObject(store.log());
  const health = await healthOf(store);
  expect(health).toMatchObject({ log, head: 4 });
  expect(health).not.toHaveProperty("lostHistory");
  expect(await copyOf(indexOf(store))).toEqual(entries);
});

test("the loss of a long log is told before the index knows all its streams again", async () => {
  const { store, log } = await known();
  faults(store);
  await runInDurableObject(store.log(), (_, { storage: { sql, kv } }) => {
    sql.exec("DELETE FROM runs WHERE last_position = 3");
    for (let n = 0; n < 12_000; n++) {
      sql.exec("INSERT INTO runs VALUES (?, ?, 1, 1, '', '0123456789abcdef')", 3 + n, `Long-${n}`);
    }
    kv.put("indexed", { store: store.id, position: 0, end: null });
  });
  await evictDurableObject(store.log());
  expect(await lostOf(store)).toEqual({ log, head: 3, mark: MARK });
  while (await runDurableObjectAlarm(store.log()));
  expect(await lostOf(store)).toEqual({ log, head: 3, mark: MARK });
});

test("an empty store has lost nothing, and has no end to be remembered", async () => {
  const store = newStore();
  expect(await lostOf(store)).toBeNull();
  expect(await runInDurableObject(indexOf(store), (_, { storage }) => Array.from(storage.kv.list()))).toEqual([]);
});
