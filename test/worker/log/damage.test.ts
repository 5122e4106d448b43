/** What storage has changed of an event is noticed by whoever reads it, is named, and can be skipped. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { pageDigestOf } from "../../../shared/event/digest.ts";
import type { LogObject } from "../../../worker/log/log-object.ts";
import { eventually } from "../../support/eventually.ts";
import { damageLog, damageStream, flipped, loseRow, putLogBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { openLive } from "./feed-socket.ts";
import { runsOf } from "./published.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Positions 1 to 6: A-1@1–2 in one row, B-1@1, A-1@3–4 in one row, B-1@2. */
async function filled(): Promise<TestStore> {
  const store = newStore();
  const kept = () => event("Kept", { is: "kept", and: ["ü", 1] });
  await store.append("A-1", 0, kept(), kept());
  await store.append("B-1", 0, kept());
  await store.append("A-1", 2, kept(), kept());
  await store.append("B-1", 1, kept());
  return store;
}

const positions = ({ body }: { body: { events: readonly { position: number | null }[] } }) => body.events.map(({ position }) => position);
const versions = ({ body }: { body: { events: readonly { version: number }[] } }) => body.events.map(({ version }) => version);

const CHANGES: Readonly<Record<string, (events: string) => string>> = {
  "a letter of the data": flipped,
  "a digit of the time": (events) => events.replace('"recordedAt":"2', '"recordedAt":"3'),
  "a letter of a field's name": (events) => events.replace('"schemaVersion"', '"schemaVfrsion"'),
  "the actor": (events) => events.replace('"actor":null', '"actor":"an"'),
  "a digit of the id": (events) => events.replace(/"id":"(.)/, (_, digit) => `"id":"${digit === "0" ? "1" : "0"}`),
  "a digit of a digest": (events) => events.replace(/"digest":"(.)/, (_, digit) => `"digest":"${digit === "0" ? "1" : "0"}`),
  "a letter of a digest's name": (events) => events.replace('"digest"', '"digfst"'),
  "a quote, so that it is no JSON": (events) => events.replace('"is"', '"is'),
  "a line break between two events": (events) => events.replace("\n", " "),
  "a line break too many": (events) => events.replace('"data":', '"data":\n'),
  "the end, cut off": (events) => events.slice(0, -40),
  "the last event, cut off": (events) => events.slice(0, events.lastIndexOf("\n")),
  "the order of two events": (events) => events.split("\n").reverse().join("\n"),
  everything: () => "",
};

test.each(Object.keys(CHANGES))("in the log: %s", async (name) => {
  const store = await filled();
  await damageLog(store, 5, CHANGES[name] ?? String);
  // The page ends before it, and the one that would begin with it says where it is.
  const before = await store.request("/feed");
  expect([before.status, positions(before), before.body.position, before.body.head]).toEqual([200, [1, 2, 3], 3, 6]);
  const at = await store.request("/feed?after=3");
  expect([at.status, at.body]).toMatchObject([500, { code: "storage-damaged", status: 500, position: 4 }]);
  expect(at.body.detail).toMatch(/^The log's storage is damaged at positions 4 to 5:/);
  expect(at.body.detail).not.toMatch(/safe|retry/);
  // In the middle of the row it is the same.
  expect((await store.request("/feed?after=4")).body).toMatchObject({ code: "storage-damaged", position: 5 });
  // Behind it all is well, and so it is beside it.
  expect(positions(await store.request("/feed?after=5"))).toEqual([6]);
  expect(positions(await store.request("/feed?stream=B-1"))).toEqual([3, 6]);
  const skipped = await store.request("/feed?damaged=skip");
  expect([skipped.status, positions(skipped)]).toEqual([200, [1, 2, 3, 6]]);
  expect(skipped.body).toMatchObject({ position: 6, damaged: [{ first: 4, last: 5 }] });
  const named = await store.request("/feed?damaged=skip&stream=A-1");
  expect([positions(named), named.body.position, named.body.damaged]).toEqual([[1, 2], 6, [{ first: 4, last: 5 }]]);
  // The streams have their own copy.
  expect(versions(await store.request("/streams/A-1"))).toEqual([1, 2, 3, 4]);
  expect((await store.append("A-1", 4, event())).body).toMatchObject({ version: 5, position: 7 });
});

test.each(Object.keys(CHANGES))("in a stream: %s", async (name) => {
  const store = await filled();
  await damageStream(store, "A-1", 4, CHANGES[name] ?? String);
  const before = await store.request("/streams/A-1");
  expect([before.status, versions(before), before.body.version]).toEqual([200, [1, 2], 4]);
  const at = await store.request("/streams/A-1?from=3");
  expect([at.status, at.body]).toMatchObject([500, { code: "storage-damaged", status: 500, streamId: "A-1", version: 3 }]);
  expect(at.body.detail).toMatch(/^A-1: the stream's storage is damaged at versions 3 to 4:/);
  expect(at.body.detail).not.toMatch(/safe|retry/);
  expect((await store.request("/streams/A-1?direction=backwards")).body).toMatchObject({ code: "storage-damaged", version: 3 });
  const skipped = await store.request("/streams/A-1?damaged=skip");
  expect([versions(skipped), skipped.body.damaged]).toEqual([[1, 2], [{ first: 3, last: 4 }]]);
  const backwards = await store.request("/streams/A-1?damaged=skip&direction=backwards");
  expect([versions(backwards), backwards.body.damaged]).toEqual([[2, 1], [{ first: 3, last: 4 }]]);
  expect(versions(await store.request("/streams/A-1?limit=2"))).toEqual([1, 2]);
  // It takes no appends: it can't know which ids it has. Others do, also in the same push.
  const expected = { code: "storage-damaged", streamId: "A-1", version: 3 };
  const append = await store.append("A-1", 4, event());
  expect([append.status, append.body]).toMatchObject([500, expected]);
  const push = await store.push({ streamId: "A-1", events: [event()] }, { streamId: "C-1", events: [event()] });
  expect([push.status, push.body]).toMatchObject([500, expected]);
  expect(positions(await store.request("/feed"))).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("a part of a stream behind damage can be read, and the whole of it with skip", async () => {
  const store = await filled();
  await damageStream(store, "A-1", 2, flipped);
  expect(versions(await store.request("/streams/A-1?from=3"))).toEqual([3, 4]);
  expect(versions(await store.request("/streams/A-1?direction=backwards"))).toEqual([4, 3]);
  expect((await store.request("/streams/A-1")).body).toMatchObject({ code: "storage-damaged", version: 1 });
  const skipped = await store.request("/streams/A-1?damaged=skip");
  expect([versions(skipped), skipped.body.damaged]).toEqual([[3, 4], [{ first: 1, last: 2 }]]);
});

test("runs that are missing in a stream are damage too", async () => {
  for (const lost of [[2], [4], [2, 4]]) {
    const store = await filled();
    await store.append("A-1", 4, event());
    await runInDurableObject<DurableObject, void>(store.stream("A-1"), (_, { storage: { kv } }) => {
      for (const version of lost) kv.delete(String(version).padStart(16, "0"));
    });
    await evictDurableObject(store.stream("A-1"));
    const left = [1, 2, 3, 4, 5].filter((version) => version === 5 || !lost.includes(version + (version % 2)));
    const skipped = await store.request("/streams/A-1?damaged=skip");
    expect(versions(skipped)).toEqual(left);
    expect(versions(await store.request("/streams/A-1?damaged=skip&direction=backwards"))).toEqual(left.toReversed());
    const missing = lost.length === 2 ? [{ first: 1, last: 4 }] : lost.map((version) => ({ first: version - 1, last: version }));
    expect(skipped.body.damaged).toEqual(missing);
    const expected = { code: "storage-damaged", streamId: "A-1", version: missing[0]?.first };
    expect((await store.append("A-1", 5, event())).body).toMatchObject(expected);
    expect((await store.request(`/streams/A-1?from=${missing[0]?.first}`)).body).toMatchObject(expected);
  }
});

test("rows that are missing in the log are damage too", async () => {
  const store = await filled();
  await loseRow(store, 3);
  await loseRow(store, 5);
  expect(positions(await store.request("/feed"))).toEqual([1, 2]);
  expect((await store.request("/feed?after=2")).body).toMatchObject({ code: "storage-damaged", position: 3 });
  const skipped = await store.request("/feed?damaged=skip");
  expect([positions(skipped), skipped.body.damaged]).toEqual([[1, 2, 6], [{ first: 3, last: 5 }]]);
});

test("a reader whose place is within a damaged row is told so, and not that the log is another one", async () => {
  const store = await filled();
  const { body: page } = await store.request("/feed?limit=4");
  const follow = async () => (await store.request(`/feed?after=4&log=${page.log}&mark=${page.mark}`)).body;
  await damageLog(store, 5, flipped);
  expect(await follow()).toMatchObject({ code: "storage-damaged", position: 4 });
  await loseRow(store, 5);
  expect(await follow()).toMatchObject({ code: "storage-damaged", position: 4 });
});

test("a feed socket says it too, and goes on if its address says skip", async () => {
  const store = await filled();
  await damageLog(store, 5, flipped);
  const { socket: feed } = await openLive(store.id);
  feed.send({ pull: { after: 0 } });
  expect(await feed.next()).toMatchObject({ position: 3, head: 6 });
  feed.send({ pull: { after: 3 } });
  expect(await feed.next()).toMatchObject({ problem: { code: "storage-damaged", status: 500, position: 4 } });
  const { socket: skipping } = await openLive(store.id, "/feed?damaged=skip");
  skipping.send({ pull: { after: 0 } });
  expect(await skipping.next()).toMatchObject({ position: 6, damaged: [{ first: 4, last: 5 }] });
});

const QUERIES = ["", "type=Kept", "type=Other", "category=A", "category=A&type=Other"];

test.each(["changed", "missing"])("what is remembered of a filter hides no rows that are %s, whoever read by it before", async (kind) => {
  for (const query of QUERIES) {
    for (const modes of ["skip", "fail", "skip skip fail", "fail skip fail", "behind fail", "behind skip fail"]) {
      const store = await filled();
      if (kind === "changed") await damageLog(store, 5, flipped);
      else await loseRow(store, 5);
      for (const mode of modes.split(" ")) {
        const page = await store.request(`/feed?${query}&after=${mode === "behind" ? 5 : 3}${mode === "skip" ? "&damaged=skip" : ""}`);
        const told = mode === "fail" ? { code: "storage-damaged", position: 4 } : { position: 6 };
        expect([query, modes, mode, page.body]).toMatchObject([query, modes, mode, told]);
        expect(page.body.damaged).toEqual(mode === "skip" ? [{ first: 4, last: 5 }] : undefined);
      }
    }
  }
});

test.each(["", "&type=Kept", "&category=A"])("a row that goes missing once readers know it is named whole: %s", async (filter) => {
  const store = await filled();
  await store.append("A-1", 4, event("Kept"));
  expect((await store.request(`/feed?limit=9${filter}`)).body.position).toBe(7);
  await loseRow(store, 5, true);
  const skipped = await store.request(`/feed?damaged=skip${filter}`);
  expect([positions(skipped), skipped.body.damaged]).toEqual([expect.arrayContaining([1, 2, 7]), [{ first: 4, last: 5 }]]);
  expect((await store.request(`/feed?after=3${filter}`)).body).toMatchObject({ code: "storage-damaged", position: 4 });
});

test("a row that is missing between others of its stream is named to who reads the stream", async () => {
  const store = await filled();
  await store.append("A-1", 4, event());
  for (const isAwake of [true, false]) {
    await loseRow(store, 5, isAwake);
    expect(positions(await store.request("/feed?stream=A-1"))).toEqual([1, 2]);
    for (const after of [2, 3, 4]) {
      const told = { code: "storage-damaged", position: Math.max(after + 1, 4) };
      expect((await store.request(`/feed?stream=A-1&after=${after}`)).body).toMatchObject(told);
    }
    const skipped = await store.request("/feed?stream=A-1&damaged=skip");
    expect([positions(skipped), skipped.body.damaged, skipped.body.position]).toEqual([[1, 2, 7], [{ first: 4, last: 5 }], 7]);
    // Who reads on behind it is not told again, nor who reads another stream alone.
    expect((await store.request("/feed?stream=A-1&after=5")).body).toMatchObject({ position: 7, events: [{ version: 5 }] });
    const other = await store.request("/feed?stream=B-1");
    expect([positions(other), other.body.position]).toEqual([[3, 6], 7]);
    const both = await store.request("/feed?within=A-1&within=B-1&damaged=skip");
    expect([positions(both), both.body.damaged]).toEqual([[1, 2, 3, 6, 7], [{ first: 4, last: 5 }]]);
  }
});

test("the last row of a stream that the log lost comes back to its place when the stream publishes it again", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const faults: unknown[] = [];
  vi.spyOn(console, "error").mockImplementation((line) => void faults.push(JSON.parse(line)));
  const store = await filled();
  const before = await store.request("/feed");
  const lost = async () => {
    await loseRow(store, 5);
    await evictDurableObject(store.stream("A-1"));
    vi.setSystemTime(Date.now() + 2_000);
  };
  // By a read of the stream, which wants to know the positions.
  await lost();
  expect((await store.request("/feed?after=3")).body).toMatchObject({ code: "storage-damaged", position: 4 });
  await store.request("/streams/A-1");
  await eventually(async () => expect((await store.request("/feed")).body).toEqual(before.body));
  expect(positions(await store.request("/streams/A-1"))).toEqual([1, 2, 4, 5]);
  expect(faults).toMatchObject([{ where: "refilled", store: store.id, events: 2 }]);
  // By an append, whose own event is behind all others.
  await lost();
  expect((await store.append("A-1", 4, event())).body).toMatchObject({ version: 5, position: 7 });
  const { body } = await store.request("/feed");
  expect(body.events.slice(0, 6)).toEqual(before.body.events);
  expect(body.events.slice(6)).toMatchObject([{ streamId: "A-1", version: 5, position: 7 }]);
});

test("events that were never in the log get no place of rows that it lost", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const store = await filled();
  await loseRow(store, 5);
  const late = runsOf([{ streamId: "C-1", size: 2 }]);
  vi.setSystemTime(Date.now() + 60_000);
  await runInDurableObject(store.log(), (log: LogObject) => {
    expect(log.publish(late, store.id).answers).toMatchObject([{ kind: "published", spans: [{ firstPosition: 7 }] }]);
  });
  expect((await store.request("/feed?damaged=skip")).body.damaged).toEqual([{ first: 4, last: 5 }]);
});

test("a row that goes missing once a filter knows it is named", async () => {
  const store = await filled();
  expect(positions(await store.request("/feed?type=Kept"))).toEqual([1, 2, 3, 4, 5, 6]);
  await runInDurableObject<DurableObject, void>(store.log(), (_, { storage: { sql } }) => {
    sql.exec("DELETE FROM runs WHERE last_position = 3");
  });
  expect(positions(await store.request("/feed?type=Kept"))).toEqual([1, 2]);
  expect((await store.request("/feed?type=Kept&after=2")).body).toMatchObject({ code: "storage-damaged", position: 3 });
  const skipped = await store.request("/feed?type=Kept&damaged=skip");
  expect([positions(skipped), skipped.body.damaged]).toEqual([[1, 2, 4, 5, 6], [{ first: 3, last: 3 }]]);
});

test("a pull that waits is answered if what is new can't be read, and others are not", async () => {
  const store = await filled();
  const open = async (query: string) => {
    const { socket } = await openLive(store.id, `/feed?${query}`);
    socket.pull(6);
    // The answer to the next message shows that the pull has arrived.
    socket.send({});
    expect(await socket.next()).toMatchObject({ problem: { code: "invalid-request" } });
    return socket;
  };
  const [all, typed, skipping, other] = await Promise.all(["", "type=Never", "type=Never&damaged=skip", "category=B"].map(open));
  await runInDurableObject(store.log(), (log: LogObject, { storage: { sql } }) => {
    log.publish(runsOf([{ streamId: "C-1", size: 2 }]), store.id);
    sql.exec("UPDATE runs SET events = 'no event' WHERE last_position = 8");
  });
  const problem = { code: "storage-damaged", status: 500, position: 7 };
  expect(await all?.next()).toMatchObject({ problem });
  expect(await typed?.next()).toMatchObject({ problem });
  expect(await skipping?.next()).toMatchObject({ events: [], position: 8, damaged: [{ first: 7, last: 8 }] });
  await store.append("B-1", 2, event());
  expect(await other?.next()).toMatchObject({ position: 9, events: [{ position: 9 }] });
  // The others are as good as before.
  typed?.pull(8);
  all?.pull(8);
  expect(await all?.next()).toMatchObject({ position: 9, events: [{ position: 9 }] });
  for (const socket of [all, typed, skipping, other]) socket?.close();
});

test("a page has the digest of its events, filtered or not", async () => {
  const store = await filled();
  for (const query of ["", "?stream=A-1", "?limit=2&after=1", "?type=Other", "?after=6"]) {
    const { body } = await store.request(`/feed${query}`);
    expect([query, body.digest]).toEqual([query, pageDigestOf(body.events)]);
    expect(JSON.stringify(body.events)).not.toContain("digest");
  }
  expect((await store.request("/streams/A-1")).text).not.toContain("digest");
});

test("a log that lost its end is not damaged: its streams fill it again", async () => {
  const store = await filled();
  await putLogBack(store, 3);
  expect((await store.append("B-1", 2, event())).body).toMatchObject({ version: 3 });
  expect((await store.append("A-1", 4, event())).body).toMatchObject({ version: 5 });
  expect(positions(await store.request("/feed"))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test.each(["damaged=no", "damaged=skip&damaged=skip"])("%s is rejected", async (query) => {
  const store = await filled();
  for (const path of ["/feed", "/streams/A-1"]) {
    const { status, body } = await store.request(`${path}?${query}`);
    expect([status, body]).toMatchObject([400, { code: "invalid-request", field: "damaged" }]);
  }
});
