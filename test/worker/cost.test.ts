/** The cost is what is written, read and requested. `docs/cost.md` has these figures, and computes the price from them. */
import { createExecutionContext, env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../shared/limits.ts";
import { createEdge } from "../../worker/index.ts";
import { type Bill, billOf } from "./bill.ts";
import { event, newStore, type TestStore } from "./edge-calls.ts";
import { type FeedSocket, openLive } from "./log/feed-socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function report(what: string, { rowsWritten, rowsRead, alarms, requests }: Bill): void {
  const asked = Object.entries(requests).map(([method, count]) => `${method} ${count}`);
  console.log(`${what}: ${rowsWritten} written (${alarms} of them alarms), ${rowsRead} read; requests: ${asked.join(", ") || "none"}`);
}

function events(count: number): object[] {
  return Array.from({ length: count }, () => event());
}

/** A store with a log, and the stream A-1 at version 1, whose alarm has run: as before the first commit of a burst. */
async function quietStore(): Promise<TestStore> {
  const store = newStore();
  await store.append("A-1", 0, event());
  await runDurableObjectAlarm(store.stream("A-1"));
  return store;
}

test.each([
  [1, 4],
  [100, 6],
])("a commit of %i events writes at most %i rows, all in all", async (size, most) => {
  const store = await quietStore();
  const bill = await billOf(() => store.append("A-1", 1, ...events(size)));
  console.log(`rows written: ${size} ${size === 1 ? "event" : "events"}: ${bill.rowsWritten}`);
  report(`a commit of ${size} to a stream that there is`, bill);
  expect(bill.rowsWritten).toBeGreaterThanOrEqual(3);
  expect(bill.rowsWritten).toBeLessThanOrEqual(most);
  expect(bill.rowsRead).toBeLessThanOrEqual(10);
  expect(bill.requests).toEqual({ "stream.append": 1, "log.publish": 1 });
  const next = await billOf(() => store.append("A-1", 1 + size, ...events(size)));
  report(`a commit of ${size} behind it, in the same burst`, next);
  expect(next.rowsWritten).toBeLessThanOrEqual(most - 1);
  expect(next.requests).toEqual({ "stream.append": 1, "log.publish": 1 });
});

test.each([1, 100])("the first commit of a stream, of %i events, writes no more than any other", async (size) => {
  const store = await quietStore();
  const bill = await billOf(() => store.append("B-1", 0, ...events(size)));
  report(`a commit of ${size} to a new stream`, bill);
  expect(bill.rowsWritten).toBeLessThanOrEqual(4);
  expect(bill.rowsRead).toBeLessThanOrEqual(10);
  expect(bill.requests).toEqual({ "stream.append": 1, "log.publish": 1 });
});

test("streams that begin cost the index a row each, and all events of a minute three rows and three requests", async () => {
  const store = await quietStore();
  await evictDurableObject(store.log());
  await runDurableObjectAlarm(store.log());
  const begun = await billOf(() => store.append("B-1", 0, event()));
  report("a stream that begins", begun);
  expect([begun.rowsWritten, begun.requests]).toEqual([4 + 1, { "stream.append": 1, "log.publish": 1 }]);
  const next = await billOf(() => store.append("B-2", 0, event()));
  expect(next.rowsWritten).toBe(4);
  for (const n of [3, 4]) await store.append(`B-${n}`, 0, event());
  await evictDurableObject(store.log());
  const told = await billOf(() => runDurableObjectAlarm(store.log()));
  report("the index is told of 4", told);
  expect([told.rowsWritten, told.alarms]).toEqual([4 + 2, 0]);
  expect(told.requests).toEqual({ "log.alarm": 1, "index.addToIndex": 1, "index.rememberEnd": 1 });
  await runDurableObjectAlarm(store.stream("A-1"));
  const grown = await billOf(() => store.append("A-1", 1, event()));
  expect([grown.rowsWritten, grown.requests]).toEqual([4 + 1, { "stream.append": 1, "log.publish": 1 }]);
  expect((await billOf(() => store.append("A-1", 2, event()))).rowsWritten).toBe(3);
  const end = await billOf(() => runDurableObjectAlarm(store.log()));
  report("the index is told of the log's end", end);
  expect([end.rowsWritten, end.requests]).toEqual([2, { "log.alarm": 1, "index.rememberEnd": 1 }]);
});

test("the alarm after a burst finds all published: it writes nothing, and asks the log for nothing", async () => {
  const store = await quietStore();
  await store.append("A-1", 1, event());
  const bill = await billOf(() => runDurableObjectAlarm(store.stream("A-1")));
  report("the alarm after a burst", bill);
  expect(bill.rowsWritten).toBe(0);
  expect(bill.requests).toEqual({ "stream.alarm": 1 });
});

test("the alarm of a stream that was evicted meanwhile asks the log once, and writes nothing", async () => {
  const store = await quietStore();
  await store.append("A-1", 1, event());
  await evictDurableObject(store.stream("A-1"));
  const bill = await billOf(() => runDurableObjectAlarm(store.stream("A-1")));
  report("the alarm after a burst, of a stream that was evicted", bill);
  expect(bill.rowsWritten).toBe(0);
  expect(bill.requests).toEqual({ "stream.alarm": 1, "log.publish": 1 });
});

test("a stream of one commit that is published again writes nothing, and the index hears nothing of it", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  await evictDurableObject(store.log());
  await runDurableObjectAlarm(store.log());
  await evictDurableObject(store.stream("A-1"));
  const bill = await billOf(() => runDurableObjectAlarm(store.stream("A-1")));
  report("a stream of one commit that is published again", bill);
  expect([bill.rowsWritten, bill.requests]).toEqual([0, { "stream.alarm": 1, "log.publish": 1 }]);
  expect(await runInDurableObject(store.log(), (_, { storage }) => storage.getAlarm())).toBeNull();
});

test("what changes nothing writes nothing: a duplicate, a conflict, reads", async () => {
  const store = await quietStore();
  const commit = event();
  await store.append("A-1", 1, commit);
  await runDurableObjectAlarm(store.log());
  const bill = await billOf(async () => {
    expect((await store.append("A-1", 1, commit)).status).toBe(200);
    expect((await store.append("A-1", 1, event())).status).toBe(409);
    for (const path of ["/streams/A-1", "/streams/none", "/streams", "/feed", "/health"]) await store.request(path);
  });
  expect(bill.rowsWritten).toBe(0);
});

test.each([40, 1000])(
  "%i commits of one event to as many streams: each push is one publication",
  async (count) => {
    const store = await quietStore();
    const { pushStreams } = DEFAULT_LIMITS;
    const pushes = Math.ceil(count / pushStreams);
    const streams = Array.from({ length: count }, (_, i) => `B-${i}`);
    const push = async () => {
      for (let at = 0; at < count; at += pushStreams) {
        const commits = streams.slice(at, at + pushStreams).map((streamId) => ({ streamId, expectedVersion: "any", events: [event()] }));
        const { body } = await store.push(...commits);
        expect(body.results.every(({ status }) => status === "committed")).toBe(true);
      }
    };
    const first = await billOf(push);
    report(`${count} commits to ${count} new streams, in ${pushes} pushes`, first);
    expect(first.rowsWritten).toBeLessThanOrEqual(4 * count);
    expect(first.rowsRead).toBeLessThanOrEqual(10 * count);
    expect(first.requests).toEqual({ "stream.append": count, "log.publish": pushes });
    const alarms = await billOf(async () => {
      for (const streamId of streams) await runDurableObjectAlarm(store.stream(streamId));
    });
    report("their alarms", alarms);
    expect([alarms.rowsWritten, alarms.requests]).toEqual([0, { "stream.alarm": count }]);
    const second = await billOf(push);
    report(`${count} commits to ${count} streams that there are, in ${pushes} pushes`, second);
    expect(second.rowsWritten).toBeLessThanOrEqual(4 * count);
    expect(second.rowsRead).toBeLessThanOrEqual(10 * count);
    expect(second.requests).toEqual({ "stream.append": count, "log.publish": pushes });
  },
  180_000,
);

/** Until the log has the socket's last message: the answer to another one behind it. */
async function settled(socket: FeedSocket): Promise<void> {
  socket.send({});
  expect((await socket.next()).problem.code).toBe("invalid-request");
}

test("a live reader costs a message and the rows it is shown for an event, and while idle nothing", async () => {
  const store = await quietStore();
  const { socket } = await openLive(store.id);
  socket.pull(1);
  await settled(socket);
  const idle = await billOf(async () => {
    await evictDurableObject(store.log());
    for (let i = 0; i < 10; i++) {
      socket.send("ping");
      expect(await socket.text()).toBe("pong");
    }
  });
  report("a live reader, idle and hibernating, that sends ten pings", idle);
  expect(idle).toEqual({ rowsWritten: 0, rowsRead: 0, requests: {}, alarms: 0 });

  await store.append("A-1", "any", event());
  let { position } = await socket.next();
  const delivered = await billOf(async () => {
    for (let i = 0; i < 10; i++) {
      socket.pull(position);
      await store.append("A-1", "any", event());
      ({ position } = await socket.next());
    }
  });
  report("ten events, each delivered to a live reader", delivered);
  expect(delivered.requests).toEqual({ "stream.append": 10, "log.publish": 10, "log.webSocketMessage": 10 });
  expect(delivered.rowsWritten).toBeLessThanOrEqual(3 * 10 + 1);
  expect(delivered.rowsRead).toBeLessThanOrEqual(15 * 10);
  socket.close();
});

test("readers of the same kind are shown rows that were read once", async () => {
  const rowsRead = async (readers: number) => {
    const store = await quietStore();
    const sockets = await Promise.all(Array.from({ length: readers }, async () => (await openLive(store.id)).socket));
    for (const socket of sockets) {
      socket.pull(1);
      await settled(socket);
    }
    const bill = await billOf(async () => {
      await store.append("A-1", "any", event());
      for (const socket of sockets) expect((await socket.next()).position).toBe(2);
    });
    for (const socket of sockets) socket.close();
    return bill.rowsRead;
  };
  expect(await rowsRead(20)).toBe(await rowsRead(1));
});

test("credentials that expire cost one alarm, set once for all sockets and run once, and the log hibernates until then", async () => {
  const store = await quietStore();
  await evictDurableObject(store.log());
  await runDurableObjectAlarm(store.log());
  const expiresAt = Date.now() + 24 * 3_600_000;
  const edge = createEdge({
    authenticate: () => ({ actor: "ann", expiresAt, grants: [{ store: "*", streams: ["*"], can: ["read"] }] }),
  });
  const send = async (url: string, init: RequestInit) => edge.fetch(new Request(url, init), env, createExecutionContext());
  const sockets: FeedSocket[] = [];
  const opened = await billOf(async () => {
    for (let i = 0; i < 3; i++) sockets.push((await openLive(store.id, "/feed", {}, send)).socket);
  });
  report("three live readers with credentials that expire", opened);
  expect([opened.rowsWritten, opened.alarms]).toEqual([1, 1]);
  expect(opened.requests).toEqual({ "log.fetch": 3 });
  await evictDurableObject(store.log());
  expect(await runInDurableObject(store.log(), (_, state) => state.storage.getAlarm())).toBe(expiresAt);
  await evictDurableObject(store.log());
  vi.spyOn(Date, "now").mockReturnValue(expiresAt);
  const expired = await billOf(() => runDurableObjectAlarm(store.log()));
  report("their alarm", expired);
  expect(expired).toMatchObject({ rowsWritten: 0, requests: { "log.alarm": 1 } });
  expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([1008, 1008, 1008]);
});
