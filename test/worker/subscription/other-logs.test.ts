/** Subscriptions at the edge whose log is replaced, whose deployment changes, or whose object is evicted or killed. */
import { abortAllDurableObjects, env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HandlerError } from "../../../shared/subscription.ts";
import type { Subscription } from "../../../worker/index.ts";
import { createEdge } from "../../../worker/index.ts";
import type { SubscriptionRecord } from "../../../worker/subscription/subscription-record.ts";
import { eventually } from "../../support/eventually.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { damageLog } from "../damage.ts";
import { event } from "../edge-calls.ts";
import { handling, newSubscribedStore, type SubscribedStore, subscribed } from "../edges.ts";
import { bad, refusing, until, watch } from "./watched.ts";

beforeEach(() => {
  // What waits with backoff waits as short as it may.
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function shorten(store: SubscribedStore, head: number): Promise<void> {
  await runInDurableObject(store.log(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM runs WHERE last_position > ?", head);
  });
  await evictDurableObject(store.log());
}

test("a log that was put back stops its subscriptions visibly, whether it has grown past them or not", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  for (let i = 0; i < 4; i++) await store.append("A-1", i, event());
  await until(store, "all", { position: 4 });
  await shorten(store, 2);
  await store.append("B-1", 0, event());
  await until(store, "all", { state: "stopped", position: 4, head: 3, lag: 0, error: expect.stringMatching(/\w/) });
  // Going on is not for the asking.
  await store.append("B-1", 1, event(), event(), event());
  await store.post("/subscriptions/all/resume");
  await until(store, "all", { state: "stopped", position: 4, head: 6, error: expect.stringContaining("another history") });
  expect(calls.flat()).toEqual([1, 2, 3, 4]);
  await store.post("/subscriptions/all/reset", { position: 2 });
  await until(store, "all", { state: "running", position: 6 });
  expect(calls.flat()).toEqual([1, 2, 3, 4, 3, 4, 5, 6]);
});

test("a log that was put back while nothing happens: the first who asks is told, by the status as by the store's health", async () => {
  for (const ask of ["status", "health"] as const) {
    const store = newSubscribedStore(subscribed);
    watch(store, "all");
    for (let i = 0; i < 4; i++) await store.append("A-1", i, event());
    await until(store, "all", { position: 4 });
    expect((await store.request("/health")).body).toMatchObject({ diverged: 0, subscriptionsAhead: 0 });
    await runDurableObjectAlarm(store.subscription("all"));
    await shorten(store, 2);
    if (ask === "status") {
      const error = expect.stringContaining("read the log up to position 4, and the log ends at 2");
      expect(await store.status("all")).toMatchObject({ state: "stopped", position: 4, head: 2, lag: 0, error });
    }
    expect((await store.request("/health")).body.subscriptionsAhead).toBeGreaterThanOrEqual(1);
    await store.post("/subscriptions/all/reset", { position: 2 });
    await until(store, "all", { state: "running", position: 2 });
  }
});

test("a log that is damaged behind a subscription stops it, and it goes on once the log is repaired", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  await store.append("A-1", 0, event("Kept", "kept"));
  await until(store, "all", { position: 1 });
  handling(store.id, "all", () => Promise.reject(new Error("not yet")));
  await store.append("A-1", 1, event("Kept", "kept"));
  await damageLog(store, 2, (events) => events.replace('"kept"', '"kfpt"'));
  await until(store, "all", { state: "stopped", position: 1, error: expect.stringContaining("damaged at position 2:") });
  await damageLog(store, 2, (events) => events.replace('"kfpt"', '"kept"'));
  calls.length = 0;
  const handled = watch(store, "all");
  await store.post("/subscriptions/all/resume");
  await until(store, "all", { state: "running", position: 2 });
  expect(handled.flat()).toEqual([2]);
});

test("a log that was put back and has grown to where its subscription is stops it, without anybody asking", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  for (let i = 0; i < 4; i++) await store.append("A-1", i, event());
  await until(store, "all", { position: 4 });
  await shorten(store, 2);
  await store.append("B-1", 0, event(), event());
  const isStopped = () =>
    runInDurableObject(store.subscription("all"), (_, { storage }) => storage.kv.get<SubscriptionRecord>("facts")?.progress.isStopped);
  await eventually(async () => expect(await isStopped()).toBe(true));
  expect(calls.flat()).toEqual([1, 2, 3, 4]);
});

test("a log that was replaced stops its subscriptions, and reset has them follow the new one", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const calls = watch(store, "all", refuse);
  await store.append("A-1", 0, bad(), event());
  await until(store, "all", { position: 2, deadLetters: 1 });
  await runInDurableObject(store.log(), (_, { storage }) => {
    storage.sql.exec("UPDATE meta SET log = ?", crypto.randomUUID());
  });
  await evictDurableObject(store.log());
  calls.length = 0;
  await store.append("A-1", 2, event());
  await until(store, "all", { state: "stopped", position: 2 });
  await store.post("/subscriptions/all/replay");
  await eventually(async () => expect((await store.get("/subscriptions/all")).body.deadLetters[0]?.error).toContain("another history"));
  expect(calls).toEqual([]);
  refuse.state.broken = false;
  expect((await store.post("/subscriptions/all/reset", { position: 0 })).body).toMatchObject({ deadLetters: 0 });
  await until(store, "all", { position: 3, state: "running" });
  expect(calls.flat()).toEqual([1, 2, 3]);
});

test("a dead letter whose event has another position since the log was put back is replayed all the same", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const calls = watch(store, "all", refuse);
  await store.append("B-1", 0, event());
  await store.append("A-1", 0, event(), bad());
  await until(store, "all", { position: 3, deadLetters: 1 });
  await shorten(store, 1);
  await store.append("C-1", 0, event(), event());
  await store.append("A-1", 2, event());
  await until(store, "all", { head: 6, state: "stopped" });
  // Whoever resets it to here knows what was handled before.
  expect((await store.post("/subscriptions/all/reset", { position: 6 })).body).toMatchObject({ deadLetters: 1 });
  calls.length = 0;
  refuse.state.broken = false;
  await store.post("/subscriptions/all/replay");
  await until(store, "all", { position: 6, deadLetters: 0 });
  expect(calls).toEqual([[5]]);
});

test("a subscription that comes with a deployment begins by itself: at the beginning, or behind what there is", async () => {
  const store = newSubscribedStore(subscribed);
  await store.append("A-1", 0, event(), event());
  for (const name of ["all", "later"]) await until(store, name, { position: 2 });
  // As it was before there were any.
  for (const name of ["all", "later"]) {
    await runInDurableObject(store.subscription(name), (_, { storage }) => storage.deleteAll());
    await evictDurableObject(store.subscription(name));
  }
  await runInDurableObject(store.log(), (_, { storage }) => storage.kv.delete("subscribers"));
  await evictDurableObject(store.log());
  const all = watch(store, "all");
  const later = watch(store, "later");
  await store.request("/feed");
  await eventually(() => expect(all.flat()).toEqual([1, 2]));
  expect(await store.status("later")).toMatchObject({ position: 2 });
  await store.append("A-1", 2, event());
  await eventually(() => expect(later.flat()).toEqual([3]));
});

test("evicted, aborted and refused at any point: at least once, in order, and nothing is passed over", async () => {
  vi.restoreAllMocks();
  const random = new Random(SEED);
  vi.spyOn(Math, "random").mockReturnValue(0);
  const store = newSubscribedStore(subscribed);
  const handled: number[] = [];
  const wrong: string[] = [];
  handling(store.id, "all", async (events) => {
    const positions = events.map(({ position }) => position);
    const furthest = Math.max(0, ...handled);
    if ((positions[0] ?? 0) > furthest + 1) wrong.push(`${positions} after ${furthest}`);
    if (positions.some((position, i) => i > 0 && position !== (positions[i - 1] ?? 0) + 1)) wrong.push(`${positions}`);
    if (random.next() < 0.15) throw new HandlerError("Not now.");
    if (random.next() < 0.3) await store.request("/health");
    handled.push(...positions);
  });
  const versions = new Map<string, number>();
  for (let step = 0; step < 60; step++) {
    const streamId = `A-${random.between(0, 4)}`;
    const events = Array.from({ length: random.between(1, 4) }, () => event());
    const version = versions.get(streamId) ?? 0;
    expect((await store.append(streamId, version, ...events)).status).toBe(201);
    versions.set(streamId, version + events.length);
    const fault = random.next();
    if (fault < 0.1) await evictDurableObject(store.subscription("all"));
    else if (fault < 0.2) await evictDurableObject(store.log());
    else if (fault < 0.3) await abortAllDurableObjects();
  }
  const total = [...versions.values()].reduce((sum, version) => sum + version, 0);
  await vi.waitFor(async () => expect((await store.request("/health")).body.head).toBe(total), { timeout: 20_000 });
  // What an abort took away comes by the alarms.
  await runDurableObjectAlarm(store.log());
  await until(store, "all", { position: total, state: "running" });
  expect(wrong).toEqual([]);
  const first = handled.filter((position, i) => handled.indexOf(position) === i);
  const { deadLetters } = (await store.get("/subscriptions/all")).body;
  expect(first).toEqual(first.toSorted((a, b) => a - b));
  expect([...first, ...deadLetters.map(({ position }) => position)].sort((a, b) => a - b)).toEqual(
    Array.from({ length: total }, (_, i) => i + 1),
  );
});

test("without its binding the edge says so, and takes nothing that nobody would be handed", async () => {
  const { SUBSCRIPTIONS: _, ...unbound } = subscribed.envOf(env);
  const { edge } = subscribed;
  const response = await edge.fetch(new Request("https://edge.example/v1/any/feed"), unbound);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ code: "unavailable", detail: expect.stringContaining("SUBSCRIPTIONS") });
  expect((await createEdge().fetch(new Request("https://edge.example/v1/any/feed"), unbound)).status).toBe(200);
});

test.each([
  [{ "a name": {} }, "subscriptions.a name"],
  [{ mailer: { category: "" } }, "subscriptions.mailer.category"],
  [{ mailer: { from: -1 } }, "subscriptions.mailer.from"],
  [{ mailer: { from: "end" } }, "subscriptions.mailer.from"],
  [{ mailer: { batchSize: 5_000 } }, "subscriptions.mailer.batchSize"],
  [{ mailer: { timeout: 600_001 } }, "subscriptions.mailer.timeout"],
  [{ mailer: { onFailure: "skip" } }, "subscriptions.mailer.onFailure"],
])("a subscription that is none is refused when the edge is made: %j", (subscriptions, field) => {
  expect(() => createEdge({ subscriptions: subscriptions as object as Record<string, Subscription> })).toThrow(
    expect.objectContaining({ code: "invalid-request", field }),
  );
});
