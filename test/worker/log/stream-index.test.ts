/** The index of a store's streams: it is told of all of them, and still has them if the log is lost. */
import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import type { IndexedStreams, ReconciledStream } from "../../../shared/wire/reconcile.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import { eventually } from "../../support/eventually.ts";
import { damageStream, flipped, loseObject, putLogBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { deleteAll, expectGone, fill, send } from "./deleted.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

async function indexed(store: TestStore, query = ""): Promise<IndexedStreams> {
  const { status, body } = await store.request(`/reconcile/streams${query}`);
  expect(status).toBe(200);
  return body as object as IndexedStreams;
}

const alarmOf = (store: TestStore) => runInDurableObject(store.log(), (_, { storage }) => storage.getAlarm());

/** By a log that has slept meanwhile. */
async function tell(store: TestStore): Promise<void> {
  await evictDurableObject(store.log());
  await runDurableObjectAlarm(store.log());
}

/** An alarm that is due at once would go off in the test behind. */
async function untilQuiet(store: TestStore): Promise<void> {
  while (await runDurableObjectAlarm(store.log()));
}

const loseIndex = (store: TestStore) => loseObject(env.LOGS.getByName(`${store.id}/streams`));

test("streams that begin are in the index within a minute, by one call for all", async () => {
  const store = newStore();
  const add = vi.spyOn(LogObject.prototype, "addToIndex");
  // The logs of other tests have alarms, too.
  const told = () => add.mock.calls.filter(([streamIds]) => streamIds.some((id) => id.startsWith("Told")));
  const began = Date.now();
  await store.append("ToldB-1", 0, event(), event());
  await store.append("ToldA-1", 0, event());
  await store.append("ToldA-1", 1, event());
  const at = (await alarmOf(store)) ?? 0;
  expect(at).toBeGreaterThan(began);
  expect(at).toBeLessThanOrEqual(Date.now() + 60_000);
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["ToldA-1", "ToldB-1"], next: null });
  expect(told()).toEqual([[["ToldB-1", "ToldA-1"]]]);
  await store.append("ToldA-1", 2, event());
  await store.append("ToldC-1", 0, event());
  await tell(store);
  expect(told().slice(1)).toEqual([[["ToldC-1"]]]);
  expect(await indexed(store, "?limit=2")).toEqual({ streams: ["ToldA-1", "ToldB-1"], next: "ToldB-1" });
  expect(await indexed(store, "?limit=2&after=ToldB-1")).toEqual({ streams: ["ToldC-1"], next: null });
});

test("an index that can't be reached is told later, and of everything", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const lines = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const add = vi.spyOn(LogObject.prototype, "addToIndex").mockImplementation(() => {
    throw new Error("the index is unreachable");
  });
  await tell(store);
  const ofStore = lines.mock.calls.map(([line]) => JSON.parse(line)).filter((line) => line.store === store.id);
  expect(ofStore).toEqual([expect.objectContaining({ where: "index", message: expect.stringContaining("the index is unreachable") })]);
  expect(await alarmOf(store)).toBeGreaterThan(Date.now());
  await store.append("B-1", 0, event());
  add.mockRestore();
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["A-1", "B-1"], next: null });
});

test("a log of a version without an index tells it of all its streams when it wakes", async () => {
  const store = newStore();
  await fill(store, 30);
  await runInDurableObject(store.log(), async (_, { storage }) => {
    storage.kv.delete("indexed");
    await storage.deleteAlarm();
  });
  await evictDurableObject(store.log());
  await store.request("/health");
  await tell(store);
  expect((await indexed(store)).streams).toHaveLength(30);
});

test("an alarm that the platform has lost is set again when the log wakes", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  await runInDurableObject(store.log(), (_, { storage }) => storage.deleteAlarm());
  await evictDurableObject(store.log());
  await store.request("/health");
  expect(await alarmOf(store)).not.toBeNull();
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["A-1"], next: null });
});

test("an index that was lost is filled by the next reconciliation, and by no dry run", async () => {
  const store = newStore();
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await fill(store, 3);
  await tell(store);
  await loseIndex(store);
  const reconcile = (dryRun: boolean) => store.request("/reconcile/log", { method: "POST", body: JSON.stringify({ after: 0, dryRun }) });
  await reconcile(true);
  expect(await alarmOf(store)).toBeNull();
  await reconcile(false);
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["A-0", "A-1", "A-2"], next: null });
  await untilQuiet(store);
});

test("an index that is lost while it is told, and reconciled, is told of everything again", async () => {
  const store = newStore();
  await store.append("Lost-1", 0, event());
  await store.append("Lost-2", 0, event());
  const add = LogObject.prototype.addToIndex;
  const began = Promise.withResolvers<void>();
  let isLost = false;
  vi.spyOn(LogObject.prototype, "addToIndex").mockImplementation(async function (this: LogObject, streamIds) {
    add.call(this, streamIds);
    // The logs of other tests have alarms, too.
    if (!streamIds.includes("Lost-1")) return;
    began.resolve();
    await vi.waitUntil(() => isLost, { timeout: 30_000, interval: 5 });
  });
  const told = tell(store);
  await began.promise;
  await runInDurableObject(env.LOGS.getByName(`${store.id}/streams`), (_, { storage }) =>
    storage.sql.exec("DELETE FROM streams").toArray(),
  );
  expect((await store.request("/reconcile/log", { method: "POST", body: JSON.stringify({ after: 0 }) })).status).toBe(200);
  isLost = true;
  await told;
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["Lost-1", "Lost-2"], next: null });
});

test("a log that has lost its end tells the index of what takes its place", async () => {
  const store = newStore();
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await store.append("A-1", 0, event());
  await store.append("B-1", 0, event());
  await tell(store);
  await putLogBack(store, 1);
  await store.append("C-1", 0, event());
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["A-1", "B-1", "C-1"], next: null });
});

test("a stream that can't be read whole does not keep the others out of a log that was lost", async () => {
  const store = newStore();
  await store.append("A-1", 0, event("Kept", "kept"));
  await store.append("B-1", 0, event());
  await damageStream(store, "A-1", 1, flipped);
  await loseObject(store.log());
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const request = { streams: [{ streamId: "A-1" }, { streamId: "B-1" }] };
  const { status, body } = await store.request("/reconcile/streams", { method: "POST", body: JSON.stringify(request) });
  expect(status).toBe(200);
  expect((body as object as { streams: ReconciledStream[] }).streams).toMatchObject([
    { streamId: "A-1", lost: [{ first: 1, last: 1 }] },
    { streamId: "B-1", lost: [] },
  ]);
  expect(await store.feed()).toEqual(["#1 B-1@1"]);
});

test("a log that was lost is filled again from the streams that the index names, without a backup", async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  await store.append("B-1", 0, event());
  await tell(store);
  await loseObject(store.log());
  expect(await store.feed()).toEqual([]);
  const { streams } = await indexed(store);
  expect(streams).toEqual(["A-1", "B-1"]);
  const request = { streams: streams.map((streamId) => ({ streamId })) };
  const { body } = await store.request("/reconcile/streams", { method: "POST", body: JSON.stringify(request) });
  expect((body as object as { streams: ReconciledStream[] }).streams).toEqual([
    { streamId: "A-1", version: 2, logged: 0, repaired: [], replaced: null, lost: [] },
    { streamId: "B-1", version: 1, logged: 0, repaired: [], replaced: null, lost: [] },
  ]);
  // The streams come into the log in either order.
  expect((await store.feed()).map((line) => line.replace(/^#[1-3] /, "")).sort()).toEqual(["A-1@1", "A-1@2", "B-1@1"]);
  // The new log tells the index again, and nothing is there twice.
  await tell(store);
  expect(await indexed(store)).toEqual({ streams: ["A-1", "B-1"], next: null });
});

test("a deletion goes on with all streams that the log knows while the index can't be reached", async () => {
  const store = newStore();
  const streams = await fill(store, 60);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const failing = vi.spyOn(LogObject.prototype, "removeFromIndex").mockRejectedValue(new Error("the index is unreachable"));
  const { body } = await send(store, "?dryRun=true");
  await send(store, `?log=${body.log}`);
  await eventually(async () => {
    await send(store, `?log=${body.log}`);
    expect((await send(store, "?dryRun=true")).body).toMatchObject({ state: "deleting", streams: 0, events: 0 });
  });
  failing.mockRestore();
  await deleteAll(store);
  await expectGone(store, streams);
});

test("a deletion reaches the streams that only the index knows, and leaves nothing of the index", async () => {
  const store = newStore();
  const streams = await fill(store, 50);
  await tell(store);
  await loseObject(store.log());
  await store.append("Z-1", 0, event());
  await deleteAll(store);
  await expectGone(store, [...streams, "Z-1"]);
  expect((await store.request("/reconcile/streams")).status).toBe(410);
  const left = await runInDurableObject(env.LOGS.getByName(`${store.id}/streams`), (_, { storage: { sql } }) =>
    sql.exec("SELECT name FROM sqlite_master WHERE name = 'streams'").toArray(),
  );
  expect(left).toEqual([]);
});
