/** A store that an operator deletes: whoever asks is told, whatever is under way, and nothing of it comes back. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { EVERYTHING } from "../../../shared/edge/grants.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import { eventually } from "../../support/eventually.ts";
import { event, newStore } from "../edge-calls.ts";
import { handling, newSubscribedStore, subscribed } from "../edges.ts";
import { until } from "../subscription/watched.ts";
import { deleteAll, expectGone, fill, GONE, leftOf, logOf, send } from "./deleted.ts";
import { openLive } from "./feed-socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function breakLog() {
  return vi.spyOn(LogObject.prototype, "publish").mockImplementation(() => {
    throw new Error("the log is unreachable");
  });
}

test("a dry run counts what would go, and nothing goes without the id of the log", async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  await store.append("B-1", 0, event());
  const { log } = (await store.request("/health")).body;
  const whole = { log, state: "present", events: 3, streams: 2, subscriptions: 0 };
  expect(await send(store, "?dryRun=true")).toEqual({ status: 200, body: whole });
  expect(await send(store, `?dryRun=true&log=${log}`)).toEqual({ status: 200, body: whole });
  const invalid = (field: string) => ({ status: 400, body: { code: "invalid-request", field } });
  expect(await send(store, "")).toMatchObject(invalid("log"));
  expect(await send(store, "?dryRun=false")).toMatchObject(invalid("log"));
  expect(await send(store, `?log=${log}&dryRun=yes`)).toMatchObject(invalid("dryRun"));
  expect(await send(store, `?log=${log}&dryrun=true`)).toMatchObject(invalid("dryrun"));
  const other = await send(store, `?log=${crypto.randomUUID()}`);
  expect(other).toMatchObject({ status: 409, body: { code: "log-mismatch", log, detail: expect.stringContaining("Nothing was deleted") } });
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 B-1@1"]);
  expect(await send(store, `?log=${log}`)).toEqual({
    status: 200,
    body: { log, state: "deleted", events: 0, streams: 0, subscriptions: 0 },
  });
});

test("after it every request answers 410, and only the notes and the log's id are left", async () => {
  const store = newSubscribedStore(subscribed);
  await store.append("A-1", 0, event());
  await store.append("B-1", 0, event());
  for (const name of ["all", "later"]) await until(store, name, { position: 2 });
  const log = await logOf(store);
  expect((await send(store, "?dryRun=true")).body).toMatchObject({ state: "present", subscriptions: 4 });
  await deleteAll(store);
  const body = (value: object) => ({ method: "POST", body: JSON.stringify(value) });
  const commits = [{ streamId: "A-1", events: [event()] }];
  const requests: [string, RequestInit?][] = [
    ["/streams"],
    ["/streams/A-1"],
    ["/streams/A-1?direction=backwards"],
    ["/streams/Never-1"],
    ["/streams/A-1", body({ events: [event()] })],
    ["/streams/A-1", body({ events: [event()], expectedVersion: 7 })],
    ["/streams/Never-1", body({ events: [event()] })],
    ["/streams/Never-1", body({ events: [event()], expectedVersion: 7 })],
    ["/commits", body({ commits: [] })],
    ["/commits", body({ commits })],
    ["/commits", body({ commits, log })],
    ["/commits", body({ commits: [{ streamId: "Never-2", events: [event()] }] })],
    ["/feed"],
    [`/feed?log=${log}&after=2`],
    ["/feed", { headers: { accept: "text/event-stream" } }],
    ["/feed", { headers: { upgrade: "websocket" } }],
    ["/health"],
    ["/restore"],
    ["/restore", body({ file: "file", events: 0, mark: "0".repeat(16) })],
    ["/restore/streams", body({ restore: log, streams: [] })],
    ["/restore/log", body({ restore: log, position: 1, runs: [] })],
    ["/restore/finish", body({ restore: log })],
    ["/restore/abandon", body({ restore: log })],
    ["/subscriptions"],
    ["/subscriptions/all"],
    ["/subscriptions/all/resume", body({})],
    ["/subscriptions/all/reset", body({ position: 0 })],
    ["/subscriptions/all/replay", body({})],
  ];
  // Neither object has to remember it.
  for (const isEvicted of [false, true]) {
    if (isEvicted) for (const object of [store.log(), store.stream("A-1"), store.stream("Never-1")]) await evictDurableObject(object);
    for (const [path, init] of requests) {
      const answer = await store.request(path, init);
      expect([path, answer.status, answer.body]).toMatchObject([path, 410, GONE.body]);
    }
  }
  await expectGone(store, ["A-1", "B-1", "Never-1"]);
  for (const name of ["all", "later", "permits", "quick"]) {
    expect(await leftOf(store.subscription(name))).toEqual({ keys: [], alarm: null });
  }
  expect((await send(store, `?log=${log}`)).body).toMatchObject({ log, state: "deleted" });
  expect(await send(store, `?log=${crypto.randomUUID()}`)).toMatchObject({ status: 409 });
});

test("many streams go in portions, by the requests alone, by the alarm alone, or both", async () => {
  for (const how of ["requests", "alarm"] as const) {
    const store = newStore();
    const streams = await fill(store, 90);
    const log = await logOf(store);
    const first = await send(store, `?log=${log}`);
    expect(first).toMatchObject({ status: 200, body: { log, state: "deleting", subscriptions: 0 } });
    expect(first.body.events).toBe(first.body.streams);
    expect(first.body.streams).toBeLessThanOrEqual(50);
    expect((await store.request("/feed")).status).toBe(410);
    if (how === "requests") await deleteAll(store);
    else await eventually(async () => expect((await send(store, "?dryRun=true")).body.state).toBe("deleted"));
    await expectGone(store, streams);
  }
});

test("a stream with more rows than a portion takes several", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  await store.append("B-1", 0, event());
  await runInDurableObject<DurableObject, void>(store.log(), (_, { storage: { sql } }) => {
    const row = `INSERT INTO runs SELECT ?1, stream_id, ?2, ?2, events, mark FROM runs WHERE last_position = 1`;
    for (let i = 0; i < 4_500; i++) sql.exec(row, 3 + i, 2 + i);
  });
  await evictDurableObject(store.log());
  const log = await logOf(store);
  vi.spyOn(LogObject.prototype, "alarm").mockResolvedValue();
  expect((await send(store, "?dryRun=true")).body).toMatchObject({ events: 4_502, streams: 2 });
  expect((await send(store, `?log=${log}`)).body).toMatchObject({ state: "deleting", events: 2_502, streams: 2 });
  expect((await send(store, `?log=${log}`)).body).toMatchObject({ state: "deleting", events: 502, streams: 2 });
  expect((await send(store, `?log=${log}`)).body).toMatchObject({ state: "deleted", events: 0, streams: 0 });
  vi.restoreAllMocks();
  await runDurableObjectAlarm(store.log());
  await expectGone(store, ["A-1", "B-1"]);
});

test("appends beside it: each is answered 201 or 410, and none 201 that was sent after the first answer", async () => {
  const store = newStore();
  const streams = await fill(store, 60);
  const log = await logOf(store);
  const answers: { readonly sent: "before" | "after"; readonly status: number }[] = [];
  let sent: "before" | "after" = "before";
  const write = async (i: number) => {
    const when = sent;
    const streamId = i % 3 === 0 ? `New-${i}` : `A-${i % 60}`;
    const { status } = i % 2 === 0 ? await store.append(streamId, "any", event()) : await store.push({ streamId, events: [event()] });
    answers.push({ sent: when, status });
  };
  const writes = Array.from({ length: 40 }, (_, i) => write(i));
  const deleting = send(store, `?log=${log}`).then(() => {
    sent = "after";
  });
  writes.push(...Array.from({ length: 40 }, (_, i) => write(40 + i)));
  await deleting;
  writes.push(...Array.from({ length: 80 }, (_, i) => write(80 + i)));
  await Promise.all(writes);
  await deleteAll(store);
  expect(answers.filter((answer) => ![200, 201, 410].includes(answer.status))).toEqual([]);
  expect(answers.filter((answer) => answer.sent === "after" && answer.status !== 410)).toEqual([]);
  const touched = Array.from({ length: 160 }, (_, i) => i).filter((i) => i % 3 === 0);
  await eventually(() => expectGone(store, [...streams, ...touched.map((i) => `New-${i}`)]));
});

test("a stream that slept with events that the log lacks loses them by its alarm, and the edge's log says so", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const broken = breakLog();
  // Without a position: the log could not be reached.
  expect((await store.append("Late-1", 0, event())).body).toMatchObject({ version: 1, position: null });
  expect((await store.append("Late-2", 0, event())).body).toMatchObject({ version: 1, position: null });
  for (const streamId of ["Late-1", "Late-2"]) await evictDurableObject(store.stream(streamId));
  await deleteAll(store);
  broken.mockRestore();
  await runDurableObjectAlarm(store.stream("Late-1"));
  const lines = logged.mock.calls.map(([line]) => JSON.parse(String(line))).filter(({ where }) => where === "deleted");
  expect(lines).toEqual([expect.objectContaining({ level: "error", store: store.id, streamId: "Late-1" })]);
  // Read before its alarm.
  expect(await store.request("/streams/Late-2")).toMatchObject(GONE);
  await expectGone(store, ["A-1", "Late-1", "Late-2"]);
});

test("an append that was acknowledged because the log was slow is told about in the edge's log, and one that was refused is not", async () => {
  const store = newStore();
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { publish } = LogObject.prototype;
  const slow = Promise.withResolvers<void>();
  const publishing = vi.spyOn(LogObject.prototype, "publish").mockImplementation(function (this: LogObject, ...given) {
    return slow.promise.then(() => publish.apply(this, given)) as never; // the caller awaits it in any case
  });
  expect((await store.append("Slow-1", 0, event())).body).toMatchObject({ version: 1, position: null });
  await deleteAll(store);
  publishing.mockRestore();
  slow.resolve();
  await eventually(async () => expect(await store.request("/streams/Slow-1")).toMatchObject(GONE));
  expect(await store.append("New-1", 0, event())).toMatchObject(GONE);
  await expectGone(store, ["Slow-1", "New-1"]);
  const lines = logged.mock.calls.map(([line]) => JSON.parse(String(line))).filter(({ where }) => where === "deleted");
  expect(lines).toEqual([expect.objectContaining({ streamId: "Slow-1", message: expect.stringContaining("from version 1 on") })]);
});

test("a page that is searched for while the rows go is refused", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const log = await logOf(store);
  const found = await runInDurableObject<LogObject, unknown>(store.log(), async (object) => {
    const page = object.readPage({ after: 0, limit: 10 }, EVERYTHING);
    await object.deleteStore(store.id, log, false);
    return page;
  });
  expect(found).toMatchObject({ refused: { code: "store-deleted" } });
});

test("a stream that the deletion has reached refuses an append without asking the log", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  await deleteAll(store);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  breakLog();
  expect(await store.append("A-1", 1, event())).toMatchObject(GONE);
  await evictDurableObject(store.stream("A-1"));
  expect(await store.append("A-1", 0, event())).toMatchObject(GONE);
  await expectGone(store, ["A-1"]);
});

test("an append that waits for the log while the deletion reaches its stream is refused", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const log = await logOf(store);
  const { publish } = LogObject.prototype;
  const entered = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  vi.spyOn(LogObject.prototype, "publish").mockImplementation(function (this: LogObject, ...given) {
    entered.resolve();
    return reached.promise.then(() => publish.apply(this, given)) as never; // the caller awaits it in any case
  });
  const append = store.append("A-1", 1, event());
  await entered.promise;
  expect((await send(store, `?log=${log}`)).body.state).toBe("deleted");
  reached.resolve();
  expect(await append).toMatchObject(GONE);
  await expectGone(store, ["A-1"]);
});

test("a push without the log's name is refused, and its streams forget what they took", async () => {
  const store = newStore();
  await deleteAll(store);
  const answer = await store.push({ streamId: "A-1", events: [event()] }, { streamId: "B-1", events: [event()] });
  expect(answer).toMatchObject(GONE);
  await eventually(() => expectGone(store, ["A-1", "B-1"]));
});

test("feed sockets and server-sent events get the problem and are closed, with an open pull or without", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const { socket: waiting } = await openLive(store.id);
  const { socket: idle } = await openLive(store.id);
  waiting.pull(1);
  const events = await SELF.fetch(`https://edge.example/v1/${store.id}/feed?after=1`, { headers: { accept: "text/event-stream" } });
  await deleteAll(store);
  for (const socket of [waiting, idle]) {
    expect((await socket.next()).problem).toMatchObject({ code: "store-deleted", status: 410, retryAfter: 300 });
    expect(await socket.closed).toBe(1008);
    expect(socket.unread).toBe(0);
  }
  // The response ends.
  expect(await events.text()).toContain('event: problem\ndata: {"type":"about:blank","title":"The store was deleted');
});

test("a subscription hands over nothing more, and one that is woken late is gone again", async () => {
  const store = newSubscribedStore(subscribed);
  const handled: number[] = [];
  const inHandler = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  handling(store.id, "all", async (events) => {
    handled.push(...events.map(({ position }) => position));
    inHandler.resolve();
    await goOn.promise;
  });
  await store.append("A-1", 0, ...Array.from({ length: 25 }, () => event()));
  await inHandler.promise;
  await deleteAll(store);
  goOn.resolve();
  expect(await leftOf(store.subscription("all"))).toEqual({ keys: [], alarm: null });
  // A call of the log that was on its way.
  const end = { log: await logOf(store), head: 25, mark: "0".repeat(16), restoredUpTo: 0 };
  await store.subscription("all").wake({ store: store.id, name: "all", since: 0, ...end });
  await runDurableObjectAlarm(store.subscription("all"));
  await eventually(async () => expect(await leftOf(store.subscription("all"))).toEqual({ keys: [], alarm: null }));
  expect(handled).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("a restore that is under way goes too, with what it has hidden", async () => {
  const [original, store] = [newStore(), newStore()];
  await original.append("A-1", 0, event(), event());
  await original.append("B-1", 0, event());
  const { events, mark } = (await original.request("/feed")).body;
  const post = (path: string, value: object) => store.request(path, { method: "POST", body: JSON.stringify(value) });
  const begun = await post("/restore", { file: "file", events: 3, mark });
  const restore = (begun.body as object as { restore: { id: string } }).restore.id;
  const contents = events.map(({ streamId, version, position: _, ...content }) => ({ streamId, version, content }));
  for (const streamId of ["A-1", "B-1"]) {
    const own = contents.filter((one) => one.streamId === streamId).map(({ content }) => content);
    expect((await post("/restore/streams", { restore, streams: [{ streamId, version: own.length, events: own }] })).status).toBe(200);
  }
  const runs = contents.map(({ streamId, version, content }) => ({ streamId, firstVersion: version, events: [content] }));
  expect((await post("/restore/log", { restore, position: 1, runs: runs.slice(0, 2) })).body).toMatchObject({ position: 2 });
  expect((await send(store, "?dryRun=true")).body).toMatchObject({ state: "present", events: 0, streams: 1 });
  await deleteAll(store);
  expect((await post("/restore/finish", { restore })).status).toBe(410);
  // The log did not know of B-1 yet: it hears of it when it is asked for.
  expect(await store.append("B-1", 0, event())).toMatchObject(GONE);
  await expectGone(store, ["A-1", "B-1"]);
});
