/** Subscriptions at the edge: at least once, in order, whatever happens to the objects and whatever the handler does. */
import {
  abortAllDurableObjects,
  createExecutionContext,
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HandlerError } from "../../../shared/subscription.ts";
import type { ConfirmedEvent, HandlerContext, Subscription } from "../../../worker/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import { SubscriptionObject } from "../../../worker/subscription/subscription-object.ts";
import type { SubscriptionRecord } from "../../../worker/subscription/subscription-record.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { event } from "../edge-calls.ts";
import { handling, newSubscribedStore, SUBSCRIPTIONS, type SubscribedStore, subscribed } from "../edges.ts";
import { openLive } from "../log/feed-socket.ts";

beforeEach(() => {
  // What waits with backoff waits as short as it may.
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What a subscription was given, as positions, call by call. */
function watch(
  store: SubscribedStore,
  name: string,
  refuse: (events: readonly ConfirmedEvent[], context: HandlerContext) => unknown = () => {},
) {
  const calls: number[][] = [];
  handling(store.id, name, async (events, context) => {
    calls.push(events.map(({ position }) => position));
    await refuse(events, context);
  });
  return calls;
}

function bad(): object {
  return event("Happened", { bad: true });
}

function isBad({ data }: ConfirmedEvent): boolean {
  return typeof data === "object" && data !== null && "bad" in data;
}

/** Refuses each batch that has a bad event in it, as long as it is `broken`. */
function refusing() {
  const state = { broken: true };
  const refuse = (events: readonly ConfirmedEvent[]) => {
    if (state.broken && events.some(isBad)) throw new HandlerError("That is bad.");
  };
  return Object.assign(refuse, { state });
}

async function until(store: SubscribedStore, name: string, expected: object): Promise<void> {
  await vi.waitFor(async () => expect(await store.status(name)).toMatchObject(expected), { timeout: 20_000, interval: 20 });
}

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
  await vi.waitFor(() => expect(calls).toEqual([[1]]));
  for (let i = 1; i <= 5; i++) expect((await store.append("A-1", i, event())).body.position).toBe(i + 1);
  expect(calls).toEqual([[1]]);
  release();
  // Nobody asks for its status, which would look by itself.
  await vi.waitFor(() => expect(calls).toEqual([[1], [2, 3, 4, 5, 6]]));
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
  await vi.waitFor(() => expect(calls.flat()).toHaveLength(10));
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
  await vi.waitFor(() => expect(wake).toHaveBeenCalled());
  await evictDurableObject(store.log());
  wake.mockRestore();
  expect(calls.flat()).toEqual([1]);
  expect(await runDurableObjectAlarm(store.log())).toBe(true);
  await vi.waitFor(() => expect(calls.flat()).toEqual([1, 2]));
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
  await vi.waitFor(() => expect(calls.flat()).toEqual([1]));
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
  await vi.waitFor(() => expect(calls.flat()).toEqual([1]));
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

test("an event that is refused is tried again after a wait, and news does not shorten it", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const calls = watch(store, "all", refuse);
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  await store.append("A-1", 0, bad());
  await until(store, "all", { state: "waiting", attempts: 1, error: "That is bad.", position: 0, lag: 1 });
  const { retryAt } = await store.status("all");
  for (let i = 1; i <= 3; i++) await store.append("A-1", i, event());
  await runDurableObjectAlarm(store.subscription("all"));
  expect(calls).toEqual([[1]]);
  expect(await store.status("all")).toMatchObject({ state: "waiting", attempts: 1, retryAt });
  refuse.state.broken = false;
  // Whoever knows that it is mended does not wait.
  expect((await store.post("/subscriptions/all/resume")).status).toBe(200);
  await until(store, "all", { position: 4, attempts: 0, error: null, retryAt: null });
  expect(calls.flat()).toEqual([1, 1, 2, 3, 4]);
});

test("of a batch that is refused the one is found that it is, set aside, and seen", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all", refusing());
  const culprit = bad();
  await store.append("A-1", 0, event(), event(), culprit, event());
  await until(store, "all", { position: 4, deadLetters: 1, error: null, attempts: 0 });
  const together = calls.filter(({ length }) => length === 4);
  expect(together).toHaveLength(3);
  expect(calls.slice(3).flat()).toEqual([1, 2, 3, 3, 3, 3, 4]);
  const { body } = await store.get("/subscriptions/all");
  expect(body.deadLetters).toEqual([
    {
      id: Reflect.get(culprit, "id"),
      streamId: "A-1",
      version: 3,
      position: 3,
      type: "Happened",
      error: "That is bad.",
      at: expect.stringMatching(/Z$/),
    },
  ]);
  expect(body.next).toBeNull();
});

test("what was set aside is tried again when somebody asks for it: out of the list where it is handled, else with why not", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const contexts: HandlerContext[] = [];
  const calls = watch(store, "all", (events, context) => {
    contexts.push(context);
    refuse(events);
  });
  for (let i = 0; i < 3; i++) await store.append("A-1", 2 * i, bad(), event());
  await until(store, "all", { position: 6, deadLetters: 3 });
  expect((await store.post("/subscriptions/all/replay", { position: 2 })).status).toBe(400);
  const before = (await store.get("/subscriptions/all")).body.deadLetters;
  calls.length = 0;
  expect((await store.post("/subscriptions/all/replay", { position: 3 })).status).toBe(200);
  await vi.waitFor(() => expect(calls).toEqual([[3]]));
  expect(contexts.at(-1)).toMatchObject({ isReplay: true });
  await vi.waitFor(async () => expect((await store.get("/subscriptions/all")).body.deadLetters[1]?.at).not.toBe(before[1]?.at));
  expect(await store.status("all")).toMatchObject({ position: 6, deadLetters: 3, state: "running" });
  refuse.state.broken = false;
  await store.post("/subscriptions/all/replay", { position: 3 });
  await until(store, "all", { deadLetters: 2 });
  expect((await store.get("/subscriptions/all")).body.deadLetters.map(({ position }) => position)).toEqual([1, 5]);
  await store.post("/subscriptions/all/replay");
  await until(store, "all", { deadLetters: 0, position: 6 });
  expect(calls).toEqual([[3], [3], [1], [5]]);
});

test("the list of what was set aside comes in pages", async () => {
  const store = newSubscribedStore(subscribed);
  watch(store, "all", refusing());
  for (let i = 0; i < 3; i++) await store.append("A-1", 2 * i, bad(), event());
  await until(store, "all", { deadLetters: 3 });
  const first = (await store.get("/subscriptions/all?limit=2")).body;
  expect([first.deadLetters.map(({ position }) => position), first.next]).toEqual([[1, 3], 3]);
  const second = (await store.get(`/subscriptions/all?limit=2&after=${first.next}`)).body;
  expect([second.deadLetters.map(({ position }) => position), second.next]).toEqual([[5], null]);
});

test("a handler that refuses everything stops, instead of having the whole log set aside", async () => {
  const store = newSubscribedStore(subscribed);
  watch(store, "all", refusing());
  await store.append("A-1", 0, bad(), bad(), bad(), event());
  await until(store, "all", { state: "stopped", position: 2, deadLetters: 2, error: "That is bad." });
});

test("where the app wants it so, an event that is refused stops the subscription, which goes on with it when it is resumed", async () => {
  const store = newSubscribedStore(subscribed);
  const state = { broken: true };
  const calls = watch(store, "permits", () => {
    if (state.broken) throw new TypeError('{"a":"payload"}');
  });
  await store.append("Permit-1", 0, event("Granted"));
  await until(store, "permits", { state: "stopped", position: 0, attempts: 2, lag: 1, error: "The handler threw TypeError." });
  expect(calls).toEqual([[1], [1]]);
  await store.append("Permit-1", 1, event("Granted"));
  await evictDurableObject(store.subscription("permits"));
  expect(await store.status("permits")).toMatchObject({ state: "stopped", position: 0, lag: 2 });
  expect(calls).toHaveLength(2);
  await store.post("/subscriptions/permits/resume");
  await until(store, "permits", { state: "stopped", position: 0 });
  expect(calls.length).toBeGreaterThan(2);
  state.broken = false;
  await store.post("/subscriptions/permits/resume");
  await until(store, "permits", { state: "running", position: 2, error: null });
});

test("reset hands over again from a position, and what was set aside behind it comes again by itself", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const calls = watch(store, "all", refuse);
  await store.append("A-1", 0, event(), bad(), event(), bad(), event());
  await until(store, "all", { position: 5, deadLetters: 2 });
  calls.length = 0;
  refuse.state.broken = false;
  expect((await store.post("/subscriptions/all/reset", { position: 3 })).body).toMatchObject({ position: 3, deadLetters: 1 });
  await until(store, "all", { position: 5, deadLetters: 1 });
  expect(calls.flat()).toEqual([4, 5]);
  const ahead = await store.post("/subscriptions/all/reset", { position: 6 });
  expect([ahead.status, ahead.body.code]).toEqual([409, "position-ahead"]);
  expect((await store.post("/subscriptions/all/reset", { position: -1 })).status).toBe(400);
});

test("reset while a handler is at work: what it was doing does not count any more", async () => {
  const store = newSubscribedStore(subscribed);
  let release: () => void = () => {};
  let gate: Promise<void> = Promise.resolve();
  const calls = watch(store, "all", () => gate);
  await store.append("A-1", 0, event(), event());
  await until(store, "all", { position: 2 });
  gate = new Promise((resolve) => {
    release = resolve;
  });
  await store.append("A-1", 2, event());
  await vi.waitFor(() => expect(calls.at(-1)).toEqual([3]));
  await store.post("/subscriptions/all/reset", { position: 0 });
  release();
  await until(store, "all", { position: 3 });
  expect(calls.flat()).toEqual([1, 2, 3, 1, 2, 3]);
});

test("a handler that does not answer in its time is taken to have refused, and is told", async () => {
  const store = newSubscribedStore(subscribed);
  const signals: AbortSignal[] = [];
  watch(store, "quick", (_, { signal }) => {
    signals.push(signal);
    return new Promise(() => {});
  });
  await store.append("Quick-1", 0, event());
  await until(store, "quick", { state: "stopped", error: "The handler did not answer within 50 milliseconds." });
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
});

test("an event whose handler is killed each time is given up as one that is refused", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  const calls = watch(store, "all", refuse);
  await store.append("A-1", 0, event());
  await until(store, "all", { position: 1 });
  const killed = () =>
    runInDurableObject(store.subscription("all"), (object) => object.alarm({ isRetry: true, retryCount: 1, scheduledTime: Date.now() }));
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  await killed();
  expect(await store.status("all")).toMatchObject({
    state: "waiting",
    attempts: 1,
    error: expect.stringContaining("ended before it answered"),
  });
  calls.length = 0;
  await store.append("A-1", 1, bad());
  const afterItsWait = async () => {
    const { retryAt } = await store.status("all");
    vi.spyOn(Date, "now").mockReturnValue(Date.parse(retryAt ?? ""));
    await runDurableObjectAlarm(store.subscription("all"));
  };
  await afterItsWait();
  for (let i = 0; i < 2; i++) await killed();
  expect(await store.status("all")).toMatchObject({ attempts: 4, position: 1 });
  await afterItsWait();
  expect(await store.status("all")).toMatchObject({ position: 2, deadLetters: 1 });
  expect(calls).toEqual([[2]]);
});

test("a handler that is killed in the middle of its work is called again, and the rest comes behind it", async () => {
  const store = newSubscribedStore(subscribed);
  let hangs = true;
  const calls = watch(store, "all", () => (hangs ? new Promise(() => {}) : undefined));
  await store.append("A-1", 0, event(), event());
  await vi.waitFor(() => expect(calls).toHaveLength(1));
  hangs = false;
  const killed = runInDurableObject(store.subscription("all"), (_, state) => state.abort("killed"));
  await expect(killed).rejects.toThrow("killed");
  await store.append("A-1", 2, event());
  await until(store, "all", { position: 3, state: "running", attempts: 0 });
  expect([calls[0], calls.slice(1).flat()]).toEqual([
    [1, 2],
    [1, 2, 3],
  ]);
});

async function shorten(store: SubscribedStore, head: number): Promise<void> {
  await runInDurableObject(store.log(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM runs WHERE last_position > ?", head);
  });
  await evictDurableObject(store.log());
}

test("a replay that kills its handler is not tried again by itself, and what stands behind the checkpoint is not blamed for it", async () => {
  const store = newSubscribedStore(subscribed);
  const refuse = refusing();
  let hangs = false;
  const calls = watch(store, "all", (events) => (hangs ? new Promise(() => {}) : refuse(events)));
  await store.append("A-1", 0, bad(), event());
  await until(store, "all", { position: 2, deadLetters: 1 });
  calls.length = 0;
  hangs = true;
  await store.post("/subscriptions/all/replay");
  await vi.waitFor(() => expect(calls).toEqual([[1]]));
  hangs = false;
  const killed = runInDurableObject(store.subscription("all"), (_, state) => state.abort("killed"));
  await expect(killed).rejects.toThrow("killed");
  await runInDurableObject(store.subscription("all"), (object) =>
    object.alarm({ isRetry: true, retryCount: 1, scheduledTime: Date.now() }),
  );
  expect((await store.get("/subscriptions/all")).body).toMatchObject({
    subscription: { state: "running", position: 2, attempts: 0 },
    deadLetters: [{ position: 1, error: expect.stringContaining("ended before it answered") }],
  });
  await store.append("A-1", 2, event());
  await until(store, "all", { position: 3 });
  expect(calls).toEqual([[1], [3]]);
  refuse.state.broken = false;
  await store.post("/subscriptions/all/replay");
  await until(store, "all", { deadLetters: 0 });
});

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

test("a log that was put back and has grown to where its subscription is stops it, without anybody asking", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all");
  for (let i = 0; i < 4; i++) await store.append("A-1", i, event());
  await until(store, "all", { position: 4 });
  await shorten(store, 2);
  await store.append("B-1", 0, event(), event());
  const isStopped = () =>
    runInDurableObject(store.subscription("all"), (_, { storage }) => storage.kv.get<SubscriptionRecord>("facts")?.progress.isStopped);
  await vi.waitFor(async () => expect(await isStopped()).toBe(true));
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
  await vi.waitFor(async () => expect((await store.get("/subscriptions/all")).body.deadLetters[0]?.error).toContain("another history"));
  expect(calls).toEqual([]);
  refuse.state.broken = false;
  expect((await store.post("/subscriptions/all/reset", { position: 0 })).body).toMatchObject({ deadLetters: 0 });
  await until(store, "all", { position: 3, state: "running" });
  expect(calls.flat()).toEqual([1, 2, 3]);
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
  await vi.waitFor(() => expect(all.flat()).toEqual([1, 2]));
  expect(await store.status("later")).toMatchObject({ position: 2 });
  await store.append("A-1", 2, event());
  await vi.waitFor(() => expect(later.flat()).toEqual([3]));
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
  [{ mailer: { category: "" } }, "category"],
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
