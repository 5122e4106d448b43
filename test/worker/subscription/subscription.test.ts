/** Subscriptions at the edge: at least once, in order, and when they wake. */
import { createExecutionContext, env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HandlerError } from "../../../shared/subscription.ts";
import type { ConfirmedEvent, HandlerContext } from "../../../worker/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import { SubscriptionObject } from "../../../worker/subscription/subscription-object.ts";
import { eventually } from "../../support/eventually.ts";
import { event } from "../edge-calls.ts";
import { handling, newSubscribedStore, SUBSCRIPTIONS, subscribed } from "../edges.ts";
import { openLive } from "../log/feed-socket.ts";
import { refusing, until, watch } from "./watched.ts";

beforeEach(() => {
  // What waits with backoff waits as short as it may.
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.restoreAllMocks();
});

test("each event is handed over once, in order, while all goes well, and in batches where many wait", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  for (let i = 0; i < 5; i++) await store.append(`A-${i}`, 0, event(), event(), event(), event(), event());
  await until(store, "all", { position: 25, lag: 0, state: "running", attempts: 0, error: null, deadLetters: 0 });
  expect(calls.flat()).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
  expect(calls.every(({ length }) => length <= 10)).toBe(true);
});

test("the handler is given whole events, the bindings, and what it is called for", async () => {
  const store = newSubscribedStore(subscribed);
  const given: [readonly ConfirmedEvent[], HandlerContext][] = [];
  handling(store.id, "all", (events, context) => given.push([events, context]));
  const one = event("Granted", { to: "Ann" });
  await store.append("Permit-1", 0, one);
  await until(store, "all", { position: 1 });
  const [[events, context] = []] = given;
  expect(events).toMatchObject([{ ...one, streamId: "Permit-1", version: 1, position: 1, schemaVersion: 1, metadata: {}, actor: null }]);
  expect(context).toMatchObject({ store: store.id, subscription: "all", failures: 0, isReplay: false });
});

test("a filter lets its categories, streams and types pass, and the subscription moves on past the rest", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "permits");
  await store.append("Permit-1", 0, event("Requested"), event("Granted"));
  await store.append("Other-1", 0, event("Granted"));
  await store.append("Permit-2", 0, event("Refused"), event("Requested"));
  await until(store, "permits", { position: 5, lag: 0 });
  expect(calls.flat()).toEqual([2, 4]);
  // What it only passed over it does not write down; it looks again.
  await evictDurableObject(store.subscription("permits"));
  expect(await store.status("permits")).toMatchObject({ position: 5, lag: 0 });
});

test("a subscription that waits with an event that matches nothing is not behind, and one that does is handed over", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "permits");
  for (let i = 0; i < 3; i++) await store.append("Other-1", i, event());
  await until(store, "permits", { position: 3, lag: 0 });
  await store.append("Permit-1", 0, event("Granted"));
  await until(store, "permits", { position: 4, lag: 0 });
  expect(calls).toEqual([[4]]);
});

test("two subscriptions of a store stand each for itself", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const stuck = watch(store, "permits", () => {
    throw new HandlerError("Never.");
  });
  const other = watch(store, "all", refuse);
  await store.append("Permit-1", 0, event("Granted"), event("Granted"));
  await until(store, "permits", { position: 0, state: "stopped", error: "Never." });
  await until(store, "all", { position: 2, state: "running", error: null });
  expect(other.flat()).toEqual([1, 2]);
  expect(stuck.length).toBeGreaterThan(1);
  const { body } = await store.get("/subscriptions");
  expect(body.subscriptions.map(({ name, state }) => [name, state])).toEqual([
    ["all", "running"],
    ["permits", "stopped"],
    ["quick", "running"],
    ["later", "running"],
  ]);
});

test("while a handler takes long, what comes waits: it is called once at a time, and appends are answered", async () => {
  const store = newSubscribedStore(subscribed);
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let running = 0;
  let most = 0;
  const calls = watch(store, "all", async () => {
    most = Math.max(most, ++running);
    await gate;
    running--;
  });
  await store.append("A-1", 0, event());
  await eventually(() => expect(calls).toEqual([[1]]));
  for (let i = 1; i <= 5; i++) expect((await store.append("A-1", i, event())).body.position).toBe(i + 1);
  expect(calls).toEqual([[1]]);
  release();
  // Nobody asks for its status, which would look by itself.
  await eventually(() => expect(calls).toEqual([[1], [2, 3, 4, 5, 6]]));
  expect(most).toBe(1);
});

test("publications that come while a subscription is being told are told together", async () => {
  const store = newSubscribedStore(subscribed);
  const heads: number[] = [];
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { wake } = SubscriptionObject.prototype;
  vi.spyOn(SubscriptionObject.prototype, "wake").mockImplementation(async function (this: SubscriptionObject, origin) {
    if (origin.name === "all") heads.push(origin.head);
    await gate;
    await wake.call(this, origin);
  });
  const calls = watch(store, "all");
  for (let i = 0; i < 10; i++) await store.append("A-1", i, event());
  expect(heads).toEqual([1]);
  release();
  await eventually(() => expect(calls.flat()).toHaveLength(10));
  expect(heads).toEqual([1, 10]);
});

test("a log that was lost between its publication and the call tells by its alarm", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  await store.append("A-1", 0, event());
  await until(store, "all", { position: 1 });
  const wake = vi.spyOn(SubscriptionObject.prototype, "wake").mockImplementation(() => {
    throw new Error("nobody is told");
  });
  await store.append("A-1", 1, event());
  await eventually(() => expect(wake).toHaveBeenCalled());
  await evictDurableObject(store.log());
  wake.mockRestore();
  expect(calls.flat()).toEqual([1]);
  expect(await runDurableObjectAlarm(store.log())).toBe(true);
  await eventually(() => expect(calls.flat()).toEqual([1, 2]));
});

test("the log's alarm never throws, and comes later each time, until all are told", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  const wake = vi.spyOn(SubscriptionObject.prototype, "wake").mockImplementation(() => {
    throw new Error("nobody is told");
  });
  await store.append("A-1", 0, event());
  const alarmIn = () => runInDurableObject(store.log(), async (_, { storage }) => ((await storage.getAlarm()) ?? 0) - Date.now());
  const delays: number[] = [];
  for (let i = 0; i < 7; i++) {
    expect(await runDurableObjectAlarm(store.log())).toBe(true);
    delays.push(await alarmIn());
  }
  expect(delays.every((delay, i) => delay > 0 && delay <= 300_000 && delay >= (delays[i - 1] ?? 0) - 1_000)).toBe(true);
  wake.mockRestore();
  await runDurableObjectAlarm(store.log());
  await eventually(() => expect(calls.flat()).toEqual([1]));
  expect(await alarmIn()).toBeLessThan(0);
});

test("the log's one alarm serves its subscriptions and its live readers: it goes off for the first, and is set again for the other", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  const expiresAt = Date.now() + 24 * 3_600_000;
  const edge = createEdge({
    subscriptions: SUBSCRIPTIONS,
    authenticate: () => ({ actor: "ann", expiresAt, grants: [{ store: "*", streams: ["*"], can: ["read", "append"] }] }),
  });
  const send = async (url: string, init: RequestInit) =>
    edge.fetch(new Request(url, init), subscribed.envOf(env), createExecutionContext());
  const { socket } = await openLive(store.id, "/feed", {}, send);
  const alarm = () => runInDurableObject(store.log(), (_, { storage }) => storage.getAlarm());
  expect(await alarm()).toBe(expiresAt);
  await store.append("A-1", 0, event());
  expect(await alarm()).toBeLessThan(expiresAt);
  await eventually(() => expect(calls.flat()).toEqual([1]));
  expect(await runDurableObjectAlarm(store.log())).toBe(true);
  expect(await alarm()).toBe(expiresAt);
  vi.spyOn(Date, "now").mockReturnValue(expiresAt);
  await runDurableObjectAlarm(store.log());
  expect(await socket.closed).toBe(1008);
});

test("while the log can't be reached the subscription waits, and nothing counts as refused", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  const { readPage } = LogObject.prototype;
  let left = 8;
  vi.spyOn(LogObject.prototype, "readPage").mockImplementation(function (this: LogObject, ...args) {
    if (left-- > 0) throw new Error("the log is unreachable");
    return readPage.apply(this, args);
  });
  await store.append("A-1", 0, event());
  await vi.waitFor(() => expect(calls.flat()).toEqual([1]), { timeout: 20_000 });
  expect(await store.status("all")).toMatchObject({ position: 1, attempts: 0, error: null });
});
