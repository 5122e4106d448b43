/** A stream is repaired from the log, and takes appends again. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LogObject } from "../../../worker/log/log-object.ts";
import { damageStream, flipped, putLogBack, putStreamBack } from "../damage.ts";
import { event, type TestStore } from "../edge-calls.ts";
import { type Damages, damagedBy, filled, historyOf, reconcileStream } from "../reconciled.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function loseRun(store: TestStore, lastVersion: number): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.stream("A-1"), (_, { storage: { kv } }) => {
    kv.delete(String(lastVersion).padStart(16, "0"));
  });
  await evictDurableObject(store.stream("A-1"));
}

const DAMAGES: Damages = {
  "a letter of a run": [(store) => damageStream(store, "A-1", 4, flipped), 3, 4],
  "the first run": [(store) => damageStream(store, "A-1", 2, flipped), 1, 2],
  "the last run": [(store) => damageStream(store, "A-1", 5, flipped), 5, 5],
  "a run that was cut": [(store) => damageStream(store, "A-1", 4, (events) => events.slice(0, -40)), 3, 4],
  "a run that is missing": [(store) => loseRun(store, 4), 3, 4],
  "the first run, missing": [(store) => loseRun(store, 2), 1, 2],
  "put back": [(store) => putStreamBack(store, "A-1", 2), 3, 5],
  deleted: [(store) => putStreamBack(store, "A-1", 0), 1, 5],
};

test.each(Object.entries(DAMAGES))("is repaired, and a dry run writes nothing: %s", async (_, [damage, first, last]) => {
  const { store, before, damaged } = await damagedBy(damage);
  expect(await reconcileStream(store, "A-1", { dryRun: true })).toMatchObject({ repaired: [{ first, last }], replaced: null, lost: [] });
  expect(await historyOf(store)).toEqual(damaged);
  expect(await reconcileStream(store, "A-1")).toEqual({
    streamId: "A-1",
    version: 5,
    logged: 5,
    repaired: [{ first, last }],
    replaced: null,
    lost: [],
  });
  expect(await historyOf(store)).toEqual(before);
  await evictDurableObject(store.stream("A-1"));
  expect(await historyOf(store)).toEqual(before);
  expect((await store.append("A-1", 5, event())).body).toMatchObject({ version: 6, position: 10 });
  // It knows its ids again.
  const [sent] = (await store.request("/streams/A-1")).body.events;
  expect((await store.append("A-1", 0, sent ?? {})).body).toMatchObject({ version: 1, duplicate: true });
});

test("events that differ from the log's are named, and replaced only where that is asked for", async () => {
  const store = await filled();
  const before = await historyOf(store);
  await putStreamBack(store, "A-1", 3);
  await putStreamBack(store, "A-1", 2);
  const publish = vi.spyOn(LogObject.prototype, "publish").mockImplementation(() => {
    throw new Error("the log is unreachable");
  });
  const other = [event("Other"), event("Other"), event("Other"), event("Other")];
  expect((await store.append("A-1", 2, ...other)).body).toMatchObject({ version: 6, position: null });
  publish.mockRestore();
  await evictDurableObject(store.stream("A-1"));
  await runDurableObjectAlarm(store.stream("A-1"));
  const plan = { version: 6, repaired: [], replaced: { first: 3, last: 6 }, lost: [] };
  expect(await reconcileStream(store, "A-1", { dryRun: true })).toMatchObject({ ...plan, repaired: [{ first: 3, last: 5 }] });
  expect(await reconcileStream(store, "A-1")).toMatchObject(plan);
  expect(await reconcileStream(store, "A-1", { replaceFrom: 2 })).toMatchObject(plan);
  expect((await store.request("/streams/A-1")).body.events.map(({ type }) => type)).toEqual([
    "Kept",
    "Kept",
    "Other",
    "Other",
    "Other",
    "Other",
  ]);
  expect((await store.append("A-1", "any", event())).body).toMatchObject({ code: "stream-diverged" });
  expect(await reconcileStream(store, "A-1", { replaceFrom: 3 })).toMatchObject({ ...plan, version: 5, repaired: [{ first: 3, last: 5 }] });
  expect(await historyOf(store)).toEqual(before);
  // A device that sends again what was replaced is told that the stream has moved on.
  expect((await store.append("A-1", 2, ...other)).body).toMatchObject({ code: "version-conflict", actualVersion: 5 });
});

test("a log that was put back gets what it lacks, of each stream that is named", async () => {
  const store = await filled();
  await putLogBack(store, 3);
  expect(await reconcileStream(store, "A-1")).toMatchObject({ version: 5, repaired: [], replaced: null, lost: [] });
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 B-1@1", "#4 A-1@3", "#5 A-1@4", "#6 A-1@5"]);
  expect(await reconcileStream(store, "B-1")).toMatchObject({ version: 3 });
  expect(await reconcileStream(store, "C-1")).toMatchObject({ version: 1 });
  expect(await store.feed()).toHaveLength(9);
  expect((await store.request("/health")).body).toMatchObject({ diverged: 0, unpublished: 0 });
});

test("a stream that does not exist stays like that", async () => {
  const store = await filled();
  expect(await reconcileStream(store, "D-1")).toEqual({ streamId: "D-1", version: 0, logged: 0, repaired: [], replaced: null, lost: [] });
  expect((await store.request("/streams/D-1")).status).toBe(404);
});

test("appends beside a reconciliation are taken or told to wait, and none is lost", async () => {
  const store = await filled();
  await putStreamBack(store, "A-1", 2);
  const [answer, reconciled] = await Promise.all([store.append("A-1", "any", event()), reconcileStream(store, "A-1")]);
  expect([201, 500]).toContain(answer.status);
  expect(reconciled?.lost).toEqual([]);
  // One that was told to wait may have come to the stream before.
  const { replaced } = (await reconcileStream(store, "A-1")) ?? {};
  if (replaced) await reconcileStream(store, "A-1", { replaceFrom: replaced.first });
  const version = answer.status === 201 ? 6 : 5;
  expect((await store.request("/streams/A-1")).body).toMatchObject({ version });
  expect((await store.request("/health")).body).toMatchObject({ diverged: 0, unpublished: 0 });
});
