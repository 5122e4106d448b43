/** Subscriptions on a device: at least once, in order, with a checkpoint that outlives the tab. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { openStore } from "../../../client/index.ts";
import { stubDeniedLocks } from "../../support/denied-locks.ts";
import { event } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { note, taking } from "./handlers.ts";

const { devices } = edgeDevices();

const openLocal = (name: string = crypto.randomUUID()) => openStore({ name });
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Refusals are tried again at once. */
const soon = { backoff: { first: 1, longest: 1 } };

test("events are handed over in position order, those of the filter alone, the next when the one before was handled", async () => {
  const store = await openLocal();
  await note(store, 1, 2);
  await store.appendToStream("Other-1", [event("other")]);
  await store.appendToStream("Note-1", [event(3, "Ignored")]);
  const taken: number[] = [];
  let busy = 0;
  const off = store.subscribe(
    async ({ position }) => {
      expect(++busy).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      busy--;
      taken.push(position);
    },
    { name: "reader", category: "Note", type: "Noted" },
  );
  await note(store, 4);
  await eventually(() => expect(taken).toEqual([1, 2, 5]));
  off();
  await note(store, 5);
  await store.close();
});

test("a named one goes on behind what it handled, in another tab too; one without a name begins with what comes", async () => {
  const name = crypto.randomUUID();
  const first = await openLocal(name);
  await note(first, 1, 2);
  const before = taking();
  const off = first.subscribe(before.handler, { name: "mailer" });
  const live = taking();
  first.subscribe(live.handler);
  await eventually(() => expect(before.taken).toEqual([1, 2]));
  await eventually(async () => expect((await first.subscription("mailer")).status).toMatchObject({ position: 2 }));
  off();
  await note(first, 3);
  await eventually(() => expect(live.taken).toEqual([3]));
  await first.close();
  const second = await openLocal(name);
  const after = taking();
  second.subscribe(after.handler, { name: "mailer" });
  await eventually(() => expect(after.taken).toEqual([3]));
  expect((await second.subscription("mailer")).status).toMatchObject({
    name: "mailer",
    state: "running",
    attempts: 0,
    retryAt: null,
    error: null,
    deadLetters: 0,
  });
  await second.close();
});

test("now is when subscribe is called, however long it takes to begin", async () => {
  const store = await openLocal();
  await note(store, 0);
  const [nameless, named] = [taking(), taking()];
  store.subscribe(nameless.handler);
  store.subscribe(named.handler, { name: "mailer", from: "now" });
  await note(store, 1, 2);
  await eventually(() =>
    expect([nameless.taken, named.taken]).toEqual([
      [1, 2],
      [1, 2],
    ]),
  );
  await store.close();
});

test("one tab at a time handles, and another takes over where it ends", async () => {
  const name = crypto.randomUUID();
  const [one, other] = [await openLocal(name), await openLocal(name)];
  const [a, b] = [taking(), taking()];
  one.subscribe(a.handler, { name: "mailer" });
  await note(one, 1);
  await eventually(() => expect(a.taken).toEqual([1]));
  other.subscribe(b.handler, { name: "mailer" });
  await note(other, 2);
  await eventually(() => expect(a.taken).toEqual([1, 2]));
  expect(b.taken).toEqual([]);
  await eventually(async () => expect((await one.subscription("mailer")).status).toMatchObject({ position: 2 }));
  await one.close();
  await note(other, 3);
  await eventually(() => expect(b.taken).toEqual([3]));
  await other.close();
});

test("what a handler refuses is handed over again, nothing else meanwhile; then it is set aside, and can be handed over once more", async () => {
  const store = await openLocal();
  let isWell = false;
  const errors: unknown[] = [];
  const { taken, handler } = taking(({ data }) => data === 2 && !isWell);
  await note(store, 1, 2, 3);
  store.subscribe(handler, { name: "mailer", retries: 3, onFailure: "dead-letter", ...soon, onError: (error) => errors.push(error) });
  await eventually(() => expect(taken).toEqual([1, 3]));
  expect(errors).toHaveLength(4);
  const mailer = await store.subscription("mailer");
  await eventually(async () => expect(mailer.status).toMatchObject({ position: 3, state: "running" }));
  expect(await mailer.deadLetters()).toMatchObject([
    { streamId: "Note-1", version: 2, position: 2, type: "Noted", error: "The handler threw Error." },
  ]);
  await mailer.replay();
  await eventually(() => expect(errors).toHaveLength(5));
  expect(await mailer.deadLetters()).toHaveLength(1);
  isWell = true;
  await eventually(async () => expect(mailer.status).toMatchObject({ deadLetters: 1 }));
  await mailer.replay();
  await eventually(() => expect(taken).toEqual([1, 3, 2]));
  await eventually(async () => expect(await mailer.deadLetters()).toEqual([]));
  await store.close();
});

test("or it stops, says why, and goes on when it is told to", async () => {
  const store = await openLocal();
  let isWell = false;
  const { taken, handler } = taking(({ data }) => data === 2 && !isWell);
  await note(store, 1, 2, 3);
  store.subscribe(handler, { name: "mailer", retries: 1, ...soon });
  const mailer = await store.subscription("mailer");
  await eventually(async () => expect(mailer.status).toMatchObject({ position: 1, state: "stopped", error: "The handler threw Error." }));
  isWell = true;
  await note(store, 4);
  expect(taken).toEqual([1]);
  await mailer.resume();
  await eventually(() => expect(taken).toEqual([1, 2, 3, 4]));
  await mailer.reset(2);
  await eventually(() => expect(taken).toEqual([1, 2, 3, 4, 3, 4]));
  await expect((await store.subscription("nobody")).resume()).rejects.toMatchObject({ code: "invalid-request" });
  expect((await store.subscription("nobody")).status).toBeUndefined();
  await store.close();
});

test("a handler that is ended, and answers late, does not take the checkpoint back", async () => {
  const store = await openLocal();
  await note(store, 1, 2, 3);
  const { promise, resolve } = Promise.withResolvers<void>();
  const { promise: isAtWork, resolve: begin } = Promise.withResolvers<void>();
  const off = store.subscribe(
    () => {
      begin();
      return promise;
    },
    { name: "mailer" },
  );
  await isAtWork;
  off();
  const { taken, handler } = taking();
  store.subscribe(handler, { name: "mailer" });
  await eventually(() => expect(taken).toEqual([1, 2, 3]));
  const mailer = await store.subscription("mailer");
  await eventually(async () => expect(mailer.status).toMatchObject({ position: 3 }));
  resolve();
  await note(store, 4);
  await eventually(async () => expect(mailer.status).toMatchObject({ position: 4 }));
  expect(taken).toEqual([1, 2, 3, 4]);
  await store.close();
});

test("whoever looks after it is heard while it waits, however long that would be", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0.9);
  const store = await openLocal();
  let isWell = false;
  const { taken, handler } = taking(({ data }) => data !== 1 && !isWell);
  await note(store, 1, 2);
  const slow = { backoff: { first: 3_600_000, longest: 3_600_000 } };
  store.subscribe(handler, { name: "mailer", retries: 1, onFailure: "dead-letter", ...slow });
  const mailer = await store.subscription("mailer");
  await eventually(async () => expect(mailer.status).toMatchObject({ position: 1, attempts: 1 }));
  isWell = true;
  await mailer.resume();
  await eventually(() => expect(taken).toEqual([1, 2]));
  await store.close();
});

test("what onError throws is an uncaught error of the app, and the subscription goes on", async () => {
  const uncaught: unknown[] = [];
  const microtask = globalThis.queueMicrotask;
  vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) =>
    microtask(() => {
      try {
        task();
      } catch (error) {
        uncaught.push(error);
      }
    }),
  );
  const store = await openLocal();
  const { taken, handler } = taking(({ data }) => data === 1);
  const onError = () => {
    throw new Error("a mistake in onError");
  };
  await note(store, 1, 2);
  store.subscribe(handler, { name: "mailer", retries: 1, onFailure: "dead-letter", ...soon, onError });
  await eventually(() => expect(taken).toEqual([2]));
  expect(uncaught).toEqual([new Error("a mistake in onError"), new Error("a mistake in onError")]);
  await store.close();
});

test("it begins where it is told: from now, behind a position, at a time; and takes one correlation alone", async () => {
  const store = await openLocal();
  await note(store, 1, 2);
  const { events } = await store.readStream("Note-1");
  const [cause] = events;
  if (cause === undefined) throw new Error("there is one");
  await eventually(() => expect(Date.now()).toBeGreaterThan(Date.parse(events.at(-1)?.recordedAt ?? "")));
  await store.appendToStream("Note-1", [event(3)], { causedBy: cause });
  const time = (await store.readStream("Note-1")).events.at(-1)?.recordedAt ?? "";
  const started = {
    now: taking(),
    behind: taking(),
    time: taking(),
    chain: taking(),
  };
  store.subscribe(started.now.handler, { name: "now", from: "now" });
  store.subscribe(started.behind.handler, { name: "behind", from: 1 });
  store.subscribe(started.time.handler, { name: "time", from: { time } });
  store.subscribe(started.chain.handler, { name: "chain", correlation: cause.id.toUpperCase() });
  const now = await store.subscription("now");
  await eventually(async () => expect(now.status).toBeDefined());
  await note(store, 4);
  await eventually(() => {
    expect(started.now.taken).toEqual([4]);
    expect(started.behind.taken).toEqual([2, 3, 4]);
    expect(started.time.taken).toEqual([3, 4]);
    expect(started.chain.taken).toEqual([1, 3]);
  });
  await store.close();
});

test("pending events are handed over when they are confirmed, as they are then", async () => {
  const a = await devices.open("A");
  const { taken, handler } = taking();
  a.subscribe(handler, { name: "mailer" });
  await note(a, 1);
  await eventually(async () => expect((await a.subscription("mailer")).status).toMatchObject({ position: 0 }));
  expect(taken).toEqual([]);
  await a.sync();
  await eventually(() => expect(taken).toEqual([1]));
});

test("options that are wrong are told to onError, and nothing is handed over", async () => {
  const store = await openLocal();
  const errors: unknown[] = [];
  const { taken, handler } = taking();
  const onError = (error: unknown) => errors.push(error);
  const wrong = [{ name: "" }, { from: -1 }, { from: { time: "2026-01-31T09:30:00" } }, { retries: -1 }];
  const ends = wrong.map((options) => store.subscribe(handler, { ...options, onError }));
  const named = (field: string) => expect.objectContaining({ code: "invalid-request", field });
  await eventually(() => expect(errors).toEqual(["name", "from", "from.time", "retries"].map(named)));
  await note(store, 1);
  for (const end of ends) end();
  expect(taken).toEqual([]);
  await store.close();
});

test("a control whose record can't be read once is read at the next call, and its status changes only with the subscription", async () => {
  const store = await openLocal();
  const { taken, handler } = taking();
  store.subscribe(handler, { name: "mailer", from: "beginning" });
  await note(store, 1);
  await eventually(() => expect(taken).toEqual([1]));
  const read = vi.spyOn(IDBObjectStore.prototype, "get").mockImplementation(() => {
    throw new DOMException("no answer", "DataError");
  });
  await expect(store.subscription("mailer")).rejects.toMatchObject({ code: "storage-failed" });
  read.mockRestore();
  const mailer = await store.subscription("mailer");
  await eventually(() => expect(mailer.status).toMatchObject({ position: 1 }));
  const { status } = mailer;
  expect((await store.subscription("mailer")).status).toBe(status);
  await store.close();
});

test("while the browser denies Web Locks, onError is called with the reason, once; when it no longer does, events are handed over", async () => {
  const locks = stubDeniedLocks();
  const store = await openLocal();
  await note(store, 1);
  const { taken, handler } = taking();
  const errors: unknown[] = [];
  store.subscribe(handler, { name: "mailer", onError: (error, given) => errors.push(error, given) });
  await eventually(() => expect(errors).toEqual([expect.objectContaining({ code: "storage-failed" }), undefined]));
  await note(store, 2);
  locks.isDenied = false;
  await eventually(() => expect(taken).toEqual([1, 2]));
  expect(errors).toHaveLength(2);
  await store.close();
});

test("without BroadcastChannel the status of a tab follows the handler that runs in it", async () => {
  vi.stubGlobal("BroadcastChannel", undefined);
  const a = await devices.open("A");
  await note(a, 1);
  await a.sync();
  const { promise: isHandled, resolve: handled } = Promise.withResolvers<void>();
  a.subscribe(() => isHandled, { name: "mailer" });
  const mailer = await a.subscription("mailer");
  await eventually(() => expect(mailer.status).toMatchObject({ position: 0 }));
  handled();
  await eventually(() => expect(mailer.status).toMatchObject({ position: 1 }));
});

test("the status follows a handler that was at work when its subscription was ended", async () => {
  const store = await openLocal();
  await note(store, 1);
  const { promise: isHandled, resolve: handled } = Promise.withResolvers<void>();
  const { promise: isAtWork, resolve: begin } = Promise.withResolvers<void>();
  const handler = () => {
    begin();
    return isHandled;
  };
  const off = store.subscribe(handler, { name: "mailer" });
  await isAtWork;
  off();
  const mailer = await store.subscription("mailer");
  expect(mailer.status).toMatchObject({ position: 0, lag: 1 });
  handled();
  await eventually(() => expect(mailer.status).toMatchObject({ position: 1, lag: 0 }));
  await store.close();
});

test("what an operator requests is on the disk when it resolves, and the progress of a handler need not be", async () => {
  const store = await openLocal();
  const { taken, handler } = taking();
  const begin = vi.spyOn(IDBDatabase.prototype, "transaction");
  const durabilities = () =>
    begin.mock.calls.filter(([names]) => String(names) === "checkpoints").flatMap(([, , options]) => options ?? []);
  store.subscribe(handler, { name: "mailer", from: "beginning" });
  await note(store, 1);
  const mailer = await store.subscription("mailer");
  await eventually(() => expect(mailer.status).toMatchObject({ position: 1 }));
  expect(new Set(durabilities().map(({ durability }) => durability))).toEqual(new Set(["relaxed"]));
  begin.mockClear();
  await mailer.reset();
  expect(durabilities()[0]).toEqual({ durability: "strict" });
  await eventually(() => expect(taken).toEqual([1, 1]));
  await store.close();
});
