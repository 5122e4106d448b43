/** A stream or a log that was put back to an older copy: no event gets the position of another one, and all who ask are told. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { LogObject } from "../../../worker/log/log-object.ts";
import { eventually } from "../../support/eventually.ts";
import { putLogBack, putStreamBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const FEED = ["#1 A-1@1", "#2 A-1@2", "#3 A-1@3", "#4 B-1@1"];

/** A-1 at version 3, and B-1. */
async function filled(): Promise<TestStore> {
  const store = newStore();
  for (let version = 0; version < 3; version++) await store.append("A-1", version, event("Kept", version));
  await store.append("B-1", 0, event());
  expect(await store.feed()).toEqual(FEED);
  return store;
}

async function health(store: TestStore) {
  const { diverged, unpublished } = (await store.request("/health")).body;
  return { diverged, unpublished };
}

function linesOf(spy: { mock: { calls: unknown[][] } }): object[] {
  return spy.mock.calls.map(([line]) => JSON.parse(String(line)));
}

const DIVERGED = { code: "stream-diverged", status: 500, streamId: "A-1" };

test.each([
  ["put back to version 1", 1, 1, "any"],
  ["put back to version 1, and a writer that knows all", 1, 3, 2],
  ["put back to version 1, and a writer that knows what is left", 1, 1, 2],
  ["put back to version 2", 2, 2, 3],
  ["deleted", 0, 0, 1],
  ["deleted, and a writer that knows that it was there", 0, "stream-exists", 1],
  ["deleted, and a writer that knows its version", 0, 3, 1],
] as const)("a stream %s takes no append, and no event gets another one's position", async (_, version, expectedVersion, at) => {
  const store = await filled();
  await putStreamBack(store, "A-1", version);
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const first = await store.append("A-1", expectedVersion, event("Other"));
  const expected = { ...DIVERGED, version: at === "any" ? 2 : version + 1 };
  expect([first.status, first.body]).toMatchObject([500, expected]);
  expect(first.body.detail).toMatch(/^A-1: the stream and the store's log hold different events from version \d on\./);
  expect(first.body.detail).not.toContain("sending");
  // Again, and by a push: the commits of other streams are taken.
  expect((await store.append("A-1", "any", event("Other"))).body).toMatchObject(expected);
  const push = await store.push({ streamId: "A-1", events: [event("Other")] }, { streamId: "C-1", events: [event()] });
  expect([push.status, push.body]).toMatchObject([500, expected]);
  expect(await store.feed()).toEqual([...FEED, "#5 C-1@1"]);
  expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 });
  const lines = linesOf(logged).filter((line) => "where" in line && line.where === "diverged");
  expect(lines).toEqual([expect.objectContaining({ level: "error", store: store.id, streamId: "A-1", version: expected.version })]);
  // Neither object has to remember it.
  await evictDurableObject(store.log());
  expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 });
  await evictDurableObject(store.stream("A-1"));
  expect((await store.append("A-1", "any", event("Other"))).body).toMatchObject(expected);
  expect(await store.feed()).toEqual([...FEED, "#5 C-1@1"]);
});

test("a stream that was put back and read says so, and gives its events no positions of others", async () => {
  const store = await filled();
  await putStreamBack(store, "A-1", 1);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { status, body } = await store.request("/streams/A-1");
  expect([status, body.events.map(({ version, position }) => [version, position])]).toEqual([200, [[1, 1]]]);
  await eventually(async () => expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 }));
  await store.append("A-1", "any", event("Other"));
  await evictDurableObject(store.stream("A-1"));
  const again = await store.request("/streams/A-1");
  expect(again.body.events.map(({ version, position }) => [version, position])).toEqual([[1, 1]]);
});

test("a stream that has lost everything is not read as one that never was", async () => {
  const store = await filled();
  await putStreamBack(store, "A-1", 0);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { status, body } = await store.request("/streams/A-1");
  expect([status, body]).toMatchObject([500, { ...DIVERGED, version: 1 }]);
  expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 });
  // If nobody knows that it was there, it is not there.
  vi.spyOn(LogObject.prototype, "headOf").mockImplementation(() => {
    throw new Error("the log is unreachable");
  });
  await evictDurableObject(store.stream("A-1"));
  expect((await store.request("/streams/A-1")).status).toBe(404);
  expect((await store.request("/streams/C-1")).status).toBe(404);
});

/** A-1 was put back to version 1, and takes appends while the log can't be reached. Then it wakes, and its alarm goes off. */
async function putBackWhileAway(append: (store: TestStore) => Promise<void>): Promise<TestStore> {
  const store = await filled();
  await putStreamBack(store, "A-1", 1);
  const publish = vi.spyOn(LogObject.prototype, "publish").mockImplementation(() => {
    throw new Error("the log is unreachable");
  });
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await append(store);
  publish.mockRestore();
  await evictDurableObject(store.stream("A-1"));
  await runDurableObjectAlarm(store.stream("A-1"));
  return store;
}

test("what a stream appended while the log was away, and diverged in, is read without a position", async () => {
  const store = await putBackWhileAway(async (store) => {
    const { status, body } = await store.append("A-1", 1, event("Other"), event("Other"), event("Other"));
    expect([status, body.version, body.position]).toEqual([201, 4, null]);
  });
  expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 });
  const page = await store.request("/streams/A-1");
  expect(page.body.events.map(({ version, position }) => [version, position])).toEqual([[1, 1], ...[2, 3, 4].map((at) => [at, null])]);
  expect(await store.feed()).toEqual(FEED);
});

test("a stream that was put back, and publishes its last run after a wake, does not come behind another event in the log", async () => {
  const logged = FEED.filter((line) => line.includes(" A-1@")).length;
  const store = await putBackWhileAway(async (store) => {
    for (let version = 1; version <= logged; version++) await store.append("A-1", version, event("Other"));
  });
  expect(await store.feed()).toEqual(FEED);
  expect(await health(store)).toEqual({ diverged: 1, unpublished: 0 });
  expect((await store.append("A-1", "any", event())).body).toMatchObject({ code: "stream-diverged", version: 2 });
});

test("a stream that was repaired takes appends again, and is counted no more", async () => {
  const store = await filled();
  const kept = await copyOf(store, "A-1");
  await putStreamBack(store, "A-1", 1);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect((await store.append("A-1", "any", event("Other"))).body).toMatchObject({ ...DIVERGED, version: 2 });
  await putStreamBack(store, "A-1", 0);
  await kept.putBack();
  expect((await store.append("A-1", 3, event())).body).toMatchObject({ version: 4, position: 5 });
  expect(await health(store)).toEqual({ diverged: 0, unpublished: 0 });
  expect(await store.feed()).toEqual([...FEED, "#5 A-1@4"]);
});

test("a log that was put back gets its events from the streams again, and the line says that positions have changed", async () => {
  const store = await filled();
  await store.request("/streams/A-1");
  await putLogBack(store, 1);
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect((await store.append("B-1", 1, event())).body).toMatchObject({ version: 2, position: 3 });
  expect((await store.append("A-1", 3, event())).body).toMatchObject({ version: 4, position: 6 });
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 B-1@1", "#3 B-1@2", "#4 A-1@2", "#5 A-1@3", "#6 A-1@4"]);
  expect(await health(store)).toEqual({ diverged: 0, unpublished: 0 });
  const lines = linesOf(logged).map((line) => ("where" in line ? [line.where, "streamId" in line && line.streamId] : []));
  expect(lines).toEqual([
    ["log-put-back", "B-1"],
    ["log-put-back", "A-1"],
  ]);
  expect((await store.request("/streams/A-1")).body.events.map(({ position }) => position)).toEqual([1, 4, 5, 6]);
});

async function copyOf(store: TestStore, streamId: string) {
  const { runInDurableObject } = await import("cloudflare:test");
  const entries = await runInDurableObject<DurableObject, [string, unknown][]>(store.stream(streamId), (_, { storage: { kv } }) =>
    Array.from(kv.list()),
  );
  return {
    putBack: async () => {
      await runInDurableObject<DurableObject, void>(store.stream(streamId), (_, { storage: { kv } }) => {
        for (const [key, value] of entries) kv.put(key, value);
      });
      await evictDurableObject(store.stream(streamId));
    },
  };
}

test.each([
  ["a stream that has slept since", true],
  ["a stream that has heard of the log long ago", false],
])("a log that was put back gets the events again that a conflict is about, from %s", async (_, isAsleep) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const store = await filled();
  await putLogBack(store, 0);
  if (isAsleep) await evictDurableObject(store.stream("A-1"));
  else vi.setSystemTime(Date.now() + 11_000);
  const { status, body } = await store.append("A-1", 0, event("Other"));
  expect([status, body]).toMatchObject([409, { code: "version-conflict", actualVersion: 3 }]);
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 A-1@3"]);
});
