/** Handlers at the edge that fail: retries, dead letters, and what an operator does about them. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HandlerContext } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { event } from "../edge-calls.ts";
import { newSubscribedStore, subscribed } from "../edges.ts";
import { bad, refusing, until, watch } from "./watched.ts";

beforeEach(() => {
  // What waits with backoff waits as short as it may.
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  vi.restoreAllMocks();
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
  await eventually(() => expect(calls).toEqual([[3]]));
  expect(contexts.at(-1)).toMatchObject({ isReplay: true });
  await eventually(async () => expect((await store.get("/subscriptions/all")).body.deadLetters[1]?.at).not.toBe(before[1]?.at));
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
  await eventually(() => expect(calls.at(-1)).toEqual([3]));
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
  await until(store, "quick", { state: "stopped", error: "The handler did not finish within 50 milliseconds." });
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
    error: expect.stringContaining("killed before it finished"),
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

test("an event is given up after kills only if the handler had it at one of them", async () => {
  const store = newSubscribedStore(subscribed);
  const calls = watch(store, "all", () => new Promise(() => {}));
  const retried = () =>
    runInDurableObject(store.subscription("all"), (object) => object.alarm({ isRetry: true, retryCount: 1, scheduledTime: Date.now() }));
  const killedInHand = async () => {
    calls.length = 0;
    const { retryAt } = await store.status("all");
    vi.spyOn(Date, "now").mockReturnValue(Date.parse(retryAt ?? ""));
    void runDurableObjectAlarm(store.subscription("all")).catch(() => {});
    await eventually(() => expect(calls).toEqual([[1]]));
    const killed = runInDurableObject(store.subscription("all"), (_, state) => state.abort("killed"));
    await expect(killed).rejects.toThrow("killed");
    await retried();
  };
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  await store.status("all");
  for (let i = 0; i < 9; i++) await retried();
  await store.append("A-1", 0, event());
  await killedInHand();
  for (let i = 0; i < 9; i++) await retried();
  expect(await store.status("all")).toMatchObject({ attempts: 10, position: 0, deadLetters: 0 });
  await killedInHand();
  const { retryAt } = await store.status("all");
  vi.spyOn(Date, "now").mockReturnValue(Date.parse(retryAt ?? ""));
  await runDurableObjectAlarm(store.subscription("all"));
  expect(await store.status("all")).toMatchObject({ state: "running", position: 1, deadLetters: 1 });
});

test("a handler that is killed in the middle of its work is called again, and the rest comes behind it", async () => {
  const store = newSubscribedStore(subscribed);
  let hangs = true;
  const calls = watch(store, "all", () => (hangs ? new Promise(() => {}) : undefined));
  await store.append("A-1", 0, event(), event());
  await eventually(() => expect(calls).toHaveLength(1));
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
  await eventually(() => expect(calls).toEqual([[1]]));
  hangs = false;
  const killed = runInDurableObject(store.subscription("all"), (_, state) => state.abort("killed"));
  await expect(killed).rejects.toThrow("killed");
  await runInDurableObject(store.subscription("all"), (object) =>
    object.alarm({ isRetry: true, retryCount: 1, scheduledTime: Date.now() }),
  );
  expect((await store.get("/subscriptions/all")).body).toMatchObject({
    subscription: { state: "running", position: 2, attempts: 0 },
    deadLetters: [{ position: 1, error: expect.stringContaining("killed before it finished") }],
  });
  await store.append("A-1", 2, event());
  await until(store, "all", { position: 3 });
  expect(calls).toEqual([[1], [3]]);
  refuse.state.broken = false;
  await store.post("/subscriptions/all/replay");
  await until(store, "all", { deadLetters: 0 });
});

test("a replay that kills its object at once is not tried again either", async () => {
  const store = newSubscribedStore(subscribed);
  let state: DurableObjectState | undefined;
  const calls = watch(store, "all", (events) => {
    if (state === undefined) return refusing()(events);
    state.abort("killed");
    return new Promise(() => {});
  });
  await store.append("A-1", 0, bad());
  await until(store, "all", { position: 1, deadLetters: 1 });
  calls.length = 0;
  await runInDurableObject(store.subscription("all"), (_, own) => {
    state = own;
  });
  await store.post("/subscriptions/all/replay");
  await eventually(() => expect(calls).toEqual([[1]]));
  await runInDurableObject(store.subscription("all"), (object) =>
    object.alarm({ isRetry: true, retryCount: 1, scheduledTime: Date.now() }),
  );
  expect((await store.get("/subscriptions/all")).body).toMatchObject({
    subscription: { state: "running", position: 1, attempts: 0 },
    deadLetters: [{ position: 1, error: expect.stringContaining("killed before it finished") }],
  });
  expect(calls).toEqual([[1]]);
});
