/** A restore over HTTP: what readers see before, in the middle and after, and what is refused. */
import { expect, test } from "vitest";
import { markAfter, START_MARK } from "../../../shared/mark.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { handling, newSubscribedStore, subscribed } from "../edges.ts";

interface Line {
  readonly streamId: string;
  readonly version: number;
  readonly position: number;
  readonly id: string;
  readonly data: unknown;
}

type Stored = Line & Record<string, unknown>;

async function feedOf(store: TestStore): Promise<Stored[]> {
  return (await store.request("/feed")).body.events as unknown as Stored[];
}

/** A store with events of several streams, interleaved. */
async function original(): Promise<Stored[]> {
  const store = newStore();
  await store.append("A-1", 0, event("One", { ä: "€" }), event("Two"));
  await store.append("B-1", 0, event("One", [1, null]));
  await store.append("A-1", 2, event("Three", "text"));
  await store.append("C-1", 0, event("One"));
  return feedOf(store);
}

const post = async (store: TestStore, path: string, body: unknown) => {
  const { status, body: answer } = await store.request(`/restore${path}`, { method: "POST", body: JSON.stringify(body) });
  return { status, ...(answer as unknown as Record<string, unknown>) } as Record<string, unknown> & { status: number };
};

const fileOf = (events: readonly Line[]) => ({
  file: `sha-${events.length}-${events[0]?.id}`,
  events: events.length,
  mark: markAfter(
    START_MARK,
    events.map(({ id }) => id),
  ),
});

async function begin(store: TestStore, events: readonly Line[]): Promise<string> {
  const { restore } = await post(store, "", fileOf(events));
  return (restore as { id: string }).id;
}

function streams(restore: string, events: readonly Stored[], part = events) {
  const own = Map.groupBy(events, ({ streamId }) => streamId);
  return {
    restore,
    streams: [...own].map(([streamId, all]) => {
      const events = part.filter((one) => one.streamId === streamId);
      return { streamId, version: all.at(-1)?.version, firstVersion: events[0]?.version ?? 1, events };
    }),
  };
}

function runs(restore: string, events: readonly Stored[]) {
  return {
    restore,
    position: events[0]?.position,
    runs: events.map((one) => ({ streamId: one.streamId, firstVersion: one.version, events: [one] })),
  };
}

test("a backup restored into an empty store is the same to the byte, and is seen only when it is whole", async () => {
  const events = await original();
  const store = newStore();
  const empty = await store.request("/feed");
  const restore = await begin(store, events);
  expect(await post(store, "/streams", streams(restore, events))).toMatchObject({
    status: 200,
    streams: [
      { status: "stored", streamId: "A-1", version: 3 },
      { status: "stored", streamId: "B-1", version: 1 },
      { status: "stored", streamId: "C-1", version: 1 },
    ],
  });
  expect(await post(store, "/log", runs(restore, events.slice(0, 3)))).toEqual({ status: 200, position: 3 });
  for (const path of ["/feed", "/streams", "/health", "/streams/A-1"]) {
    const { status, headers, body } = await store.request(path);
    expect([path, status, headers.get("retry-after"), body.detail]).toEqual([
      path,
      503,
      "10",
      "The store is being restored from a backup: retry later.",
    ]);
  }
  expect(await post(store, "/log", runs(restore, events))).toEqual({ status: 200, position: 5 });
  const { log } = empty.body;
  expect(await post(store, "/finish", { restore })).toEqual({ status: 200, log, head: 5, restored: 5, moved: 0 });
  expect(await feedOf(store)).toEqual(events);
  expect((await store.request("/streams/A-1")).body).toEqual({
    streamId: "A-1",
    version: 3,
    events: events.filter(({ streamId }) => streamId === "A-1"),
  });
  expect((await store.append("A-1", 3, event("Next"))).body).toMatchObject({ version: 4, position: 6 });
  expect((await store.append("D-1", 0, event("New"))).body).toMatchObject({ version: 1, position: 7 });
});

test("each part may come again, and out of order only the log asks for the part before", async () => {
  const events = await original();
  const store = newStore();
  const restore = await begin(store, events);
  expect(await begin(store, events)).toBe(restore);
  expect(await post(store, "/log", runs(restore, events.slice(2)))).toEqual({ status: 200, position: 0 });
  const own = events.filter(({ streamId }) => streamId === "A-1");
  expect(await post(store, "/streams", streams(restore, own, own.slice(1)))).toMatchObject({
    streams: [{ status: "gap", streamId: "A-1", version: 0 }],
  });
  for (const part of [events.slice(0, 2), events.slice(0, 2), events, events.slice(1)]) {
    await post(store, "/streams", streams(restore, events, part));
    await post(store, "/log", runs(restore, part));
  }
  expect((await store.request("/restore")).body).toMatchObject({ restore: { id: restore, events: 5, position: 5 } });
  const finished = await post(store, "/finish", { restore });
  expect(finished).toMatchObject({ status: 200, restored: 5 });
  expect(await post(store, "/finish", { restore })).toEqual(finished);
  expect((await store.request("/restore")).body).toEqual({ restore: null });
  expect(await feedOf(store)).toEqual(events);
});

test("a restore is not finished before it is whole, and not with other events than the file has", async () => {
  const events = await original();
  const store = newStore();
  const restore = await begin(store, events);
  await post(store, "/streams", streams(restore, events));
  await post(store, "/log", runs(restore, events.slice(0, 4)));
  expect(await post(store, "/finish", { restore })).toMatchObject({
    status: 400,
    code: "invalid-request",
    detail: "The log has 4 of the 5 events of the file: send the others first.",
  });
  const other = { ...events[4], id: crypto.randomUUID() } as Stored;
  await post(store, "/log", runs(restore, [other]));
  expect(await post(store, "/finish", { restore })).toMatchObject({
    status: 400,
    detail: "The events that were sent are not those of the file.",
  });
});

test("an abandoned restore leaves nothing: the store is empty again, and takes appends or another backup", async () => {
  const events = await original();
  const store = newStore();
  const restore = await begin(store, events);
  await post(store, "/streams", streams(restore, events));
  await post(store, "/log", runs(restore, events));
  const other = await original();
  expect(await post(store, "", fileOf(other))).toMatchObject({
    status: 400,
    detail: expect.stringContaining("The store is being restored from another file, and has 5 of its 5 events"),
  });
  expect(await post(store, "/abandon", { restore })).toEqual({ status: 200 });
  expect(await post(store, "/abandon", { restore })).toEqual({ status: 200 });
  expect((await store.request("/feed")).body).toMatchObject({ events: [], head: 0 });
  expect((await store.request("/streams/A-1")).status).toBe(404);
  expect((await store.append("B-1", 0, event("Mine"))).body).toMatchObject({ version: 1, position: 1 });
  // The next backup is another one, and C-1 still holds hidden events of the first.
  const rest = other.filter(({ streamId }) => streamId !== "B-1").map((one, i) => ({ ...one, position: i + 1 }));
  const second = await begin(store, rest);
  await post(store, "/streams", streams(second, rest));
  await post(store, "/log", runs(second, rest));
  expect(await post(store, "/finish", { restore: second })).toMatchObject({ restored: 4, moved: 4, head: 5 });
  expect(await store.feed()).toEqual(["#1 B-1@1", "#2 A-1@1", "#3 A-1@2", "#4 A-1@3", "#5 C-1@1"]);
  expect((await store.request("/streams/C-1")).body.events.map(({ id }) => id)).toEqual([rest[3]?.id]);
});

test("a store that has a part is readable meanwhile, counts equal events as there, and gets the rest at once", async () => {
  const events = await original();
  const [first, second, third, fourth, fifth] = events as [Stored, Stored, Stored, Stored, Stored];
  const store = newStore();
  const restore = await begin(store, [first, second, third]);
  await post(store, "/streams", streams(restore, [first, second, third]));
  await post(store, "/log", runs(restore, [first, second, third]));
  await post(store, "/finish", { restore });
  await store.append("D-1", 0, event("Mine"));
  const rest = await begin(store, events);
  await post(store, "/streams", streams(rest, events));
  await post(store, "/log", runs(rest, events));
  // As before: what it had can be read, and the streams that are being restored take nothing.
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 B-1@1", "#4 D-1@1"]);
  expect((await store.request("/streams/A-1")).body).toMatchObject({ version: 2 });
  expect((await store.request("/streams/C-1")).status).toBe(503);
  expect((await store.append("A-1", 2, event("Late"))).status).toBe(503);
  expect((await store.append("D-1", 1, event("Mine"))).status).toBe(201);
  expect(await post(store, "/finish", { restore: rest })).toMatchObject({ head: 7, restored: 2, moved: 2 });
  expect((await feedOf(store)).slice(5)).toEqual([
    { ...fourth, position: 6 },
    { ...fifth, position: 7 },
  ]);
  expect((await store.append("A-1", 3, event("Next"))).body).toMatchObject({ version: 4, position: 8 });
});

test.each<[string, (stored: Stored) => Partial<Record<string, unknown>>]>([
  ["data", () => ({ data: { ä: "another" } })],
  ["actor", () => ({ actor: "eve" })],
  ["recordedAt", () => ({ recordedAt: "2026-01-01T00:00:00.000Z" })],
  ["occurredAt", () => ({ occurredAt: "2026-01-01T00:00:00.000Z" })],
  ["id", () => ({ id: crypto.randomUUID() })],
  ["metadata", () => ({ metadata: { causationId: crypto.randomUUID() } })],
])("an event that differs in %s is named, and nothing of its stream is written", async (field, change) => {
  const store = newStore();
  await store.append("A-1", 0, event("One", { ä: "€" }), event("Two"));
  const stored = await feedOf(store);
  const changed = stored.map((one, i) => (i === 1 ? ({ ...one, ...change(one) } as Stored) : one));
  const more = { ...changed[1], id: crypto.randomUUID(), version: 3, position: 3 } as Stored;
  const restore = await begin(store, [...changed, more]);
  expect(await post(store, "/streams", streams(restore, [...changed, more]))).toMatchObject({
    status: 200,
    streams: [{ status: "differs", streamId: "A-1", version: 2, field }],
  });
  await post(store, "/abandon", { restore });
  expect((await store.append("A-1", 2, event("Next"))).body).toMatchObject({ version: 3 });
});

test.each<[string, Partial<Record<keyof Stored, unknown>>, string]>([
  ["no id", { id: undefined }, "streams[0].events[0].id"],
  ["no actor, not even null", { actor: undefined }, "streams[0].events[0].actor"],
  ["a time that does not exist", { recordedAt: "2026-02-30T10:00:00Z" }, "streams[0].events[0].recordedAt"],
  ["an actor that is no name", { actor: "a\nb" }, "streams[0].events[0].actor"],
])("an event with %s is refused by its place", async (_, change, field) => {
  const [first] = (await original()) as [Stored];
  const store = newStore();
  const bad = { ...first, ...change } as Stored;
  const restore = await begin(store, [first]);
  expect(await post(store, "/streams", streams(restore, [bad]))).toMatchObject({ status: 400, code: "invalid-request", field });
});

test("a stream keeps hidden events of a restore that the log does not know, and shows and accepts nothing", async () => {
  const [first] = (await original()) as [Stored];
  const store = newStore();
  const { streamId: _, version: __, position: ___, ...content } = first;
  const part = { restore: crypto.randomUUID(), version: 1, firstVersion: 1, events: JSON.stringify(content) };
  await store.stream("A-1").restore(`${store.id}/A-1`, "running", part);
  const { status, body } = await store.request("/streams/A-1");
  expect([status, body.detail]).toEqual([503, expect.stringContaining("a restore that the store's log does not know")]);
  expect((await store.append("A-1", 0, event())).status).toBe(503);
  await store.stream("A-1").restore(`${store.id}/A-1`, "finished", part);
  expect((await store.request("/streams/A-1")).body).toMatchObject({ version: 1 });
});

test("subscriptions stop at the end of what was restored: nothing of it is handled twice, until an operator says so", async () => {
  const events = await original();
  const store = newSubscribedStore(subscribed);
  const handled: number[] = [];
  handling(store.id, "all", (page) => handled.push(...page.map(({ position }) => position)));
  const restore = await begin(store, events);
  await post(store, "/streams", streams(restore, events));
  await post(store, "/log", runs(restore, events));
  expect((await store.request("/subscriptions")).status).toBe(503);
  await post(store, "/finish", { restore });
  expect(await store.status("all")).toMatchObject({
    state: "stopped",
    position: 5,
    error: expect.stringContaining("restored from a backup"),
  });
  // It began with the restored store.
  expect(await store.status("later")).toMatchObject({ state: "running", position: 5, error: null });
  await store.append("E-1", 0, event("New"));
  await store.post("/subscriptions/all/resume");
  await expect.poll(() => handled).toEqual([6]);
  await store.post("/subscriptions/all/reset", { position: 3 });
  await expect.poll(() => handled).toEqual([6, 4, 5, 6]);
});
