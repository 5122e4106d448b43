/** What was recorded before the first log-in is handed over to the person who logs in: once, and as a whole. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openStore } from "../../../client/index.ts";
import type { EdgeProcess } from "../../support/edge.ts";
import { signToken } from "../../support/tokens.ts";
import { openLocal, permits, record } from "../rows/permits.ts";
import { type Device, device, event, startJwtEdge } from "./people.ts";

let edge: EdgeProcess;
let here: Device;
let ann: string;
let bob: string;
beforeAll(async () => {
  edge = await startJwtEdge();
  [ann, bob] = await Promise.all([signToken({ sub: "ann" }), signToken({ sub: "bob" })]);
});
afterAll(() => edge.stop());
beforeEach(() => {
  here = device(edge.url);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

const anns = () => here.open({ person: "ann", sync: { token: () => ann, automatic: false } });
const bobs = () => here.open({ person: "bob", sync: { token: () => bob, automatic: false } });
const notLoggedIn = () => here.open({ sync: { token: () => Promise.reject(new Error("not logged in")), automatic: false } });

test("what is pending goes to the first person, and to no other", async () => {
  const before = await notLoggedIn();
  await before.appendToStream("Note-1", [event(1)], { expectedVersion: "no-stream" });
  await before.appendToStream("Note-1", [event(2)], { expectedVersion: 1 });
  await before.close();
  const [first, second] = [await anns(), await bobs()];
  expect([first.status.pending, second.status.pending]).toEqual([2, 0]);
  await Promise.all([first.sync(), second.sync()]);
  expect(await here.recorded()).toEqual(["ann: 1", "ann: 2"]);
  const after = await notLoggedIn();
  expect(after.status.pending).toBe(0);
  await expect(after.readStream("Note-1")).rejects.toMatchObject({ code: "stream-not-found" });
});

test("a store that was never synced is handed over with all its events", async () => {
  const local = await openLocal(here.name);
  await record(local, [1, "Asked"], [2, "Asked"]);
  await (await local.project(permits)).caughtUp();
  await local.close();
  const store = await anns();
  expect(store.status.pending).toBe(2);
  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 0, head: 2 });
  expect((await here.recorded()).every((line) => line.startsWith("ann: "))).toBe(true);
});

test("a second time before a log-in: what is pending is added behind what the person has", async () => {
  const store = await anns();
  await store.appendToStream("Note-1", [event("of ann")]);
  await store.sync();
  await store.close();
  const between = await notLoggedIn();
  await between.appendToStream("Note-1", [event("any")]);
  await between.appendToStream("Note-2", [event("new")], { expectedVersion: "no-stream" });
  await between.appendToStream("Note-3", [event("exact")], { expectedVersion: "no-stream" });
  await between.close();
  const again = await anns();
  expect(again.status).toMatchObject({ pending: 3, conflicts: 0 });
  await again.sync();
  expect(await here.recorded()).toEqual(['ann: "of ann"', 'ann: "any"', 'ann: "new"', 'ann: "exact"']);
});

test("a commit that expects another state than the person's is a conflict, and not lost", async () => {
  const store = await anns();
  await store.appendToStream("Note-1", [event("of ann")]);
  await store.close();
  const between = await notLoggedIn();
  await between.appendToStream("Note-1", [event("first")], { expectedVersion: "no-stream" });
  await between.appendToStream("Note-1", [event("second")], { expectedVersion: 1 });
  await between.close();
  const again = await anns();
  expect(again.status).toMatchObject({ pending: 1, conflicts: 2 });
  expect(again.conflicts().map(({ events }) => events[0]?.data)).toEqual(["first", "second"]);
});

test("what the person has from the edge already is not handed over again", async () => {
  const isLost = { answers: true };
  const losing: typeof globalThis.fetch = async (...request) => {
    const answer = await fetch(...request);
    if (isLost.answers && request[1]?.method === "POST") throw new TypeError("The connection broke.");
    return answer;
  };
  const store = await anns();
  await store.appendToStream("Note-9", [event("of ann")]);
  await store.sync();
  const unnamed = await here.open({ sync: { token: () => ann, automatic: false, fetch: losing } });
  await unnamed.appendToStream("Note-1", [event(1), event(2)], { expectedVersion: "no-stream" });
  await unnamed.appendToStream("Note-2", [event(3)]);
  await expect(unnamed.sync()).rejects.toMatchObject({ code: "unavailable" });
  await unnamed.appendToStream("Note-2", [event(4)]);
  await store.sync();
  await Promise.all([unnamed.close(), store.close()]);
  const again = await anns();
  expect(again.status).toMatchObject({ pending: 1, conflicts: 0 });
  await again.sync();
  expect(again.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect((await again.readStream("Note-2")).events.map(({ data, pending }) => [data, pending])).toEqual([
    [3, false],
    [4, false],
  ]);
  expect(await here.recorded()).toEqual(['ann: "of ann"', "ann: 1", "ann: 2", "ann: 3", "ann: 4"]);
});

test("two tabs of the person, opened at once: each event is taken once", async () => {
  const before = await notLoggedIn();
  for (let i = 0; i < 5; i++) await before.appendToStream("Note-1", [event(i)]);
  const [one, two] = await Promise.all([anns(), anns()]);
  await one.sync();
  await two.sync();
  expect(await here.recorded()).toEqual([0, 1, 2, 3, 4].map((i) => `ann: ${i}`));
  expect(await before.appendToStream("Note-1", [event("of nobody")])).toMatchObject({ version: 1 });
});

test("two persons, opened at once: one of them takes all", async () => {
  const before = await notLoggedIn();
  for (let i = 0; i < 5; i++) await before.appendToStream("Note-1", [event(i)]);
  const pending = (await Promise.all([anns(), bobs()])).map((store) => store.status.pending);
  expect(pending.sort()).toEqual([0, 5]);
});

test.each([1, 2, 3])("killed before step %i: the next opening finishes it, and each event is there once", async (step) => {
  const before = await notLoggedIn();
  await before.appendToStream("Note-1", [event("once")]);
  await before.close();
  let steps = 0;
  const transaction = IDBDatabase.prototype.transaction;
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, stores, ...given) {
    if (Array.isArray(stores) && stores.length === 6 && ++steps === step) throw new TypeError("the tab is gone");
    return transaction.call(this, stores, ...given);
  });
  await expect(anns()).rejects.toThrow("the tab is gone");
  spy.mockRestore();
  if (step > 1) expect((await bobs()).status.pending).toBe(0);
  const store = await anns();
  expect(store.status.pending).toBe(1);
  await store.sync();
  expect(await here.recorded()).toEqual(['ann: "once"']);
  await store.close();
  expect((await anns()).status.pending).toBe(0);
});

test("while it is handed over, a tab without the person is told whose it is", async () => {
  const before = await openStore({ name: here.name });
  await before.appendToStream("Note-1", [event("once")]);
  let steps = 0;
  const transaction = IDBDatabase.prototype.transaction;
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, stores, ...given) {
    if (Array.isArray(stores) && stores.length === 6 && ++steps === 2) throw new TypeError("the tab is gone");
    return transaction.call(this, stores, ...given);
  });
  await expect(anns()).rejects.toThrow("the tab is gone");
  spy.mockRestore();
  await expect(before.appendToStream("Note-1", [event("late")])).rejects.toMatchObject({ code: "owner-mismatch", owner: "ann" });
  await before.close();
  expect((await anns()).status.pending).toBe(1);
});

test("a tab of the person that is still open on nobody's database: what it appends then stays that person's", async () => {
  const tab = await here.open({ sync: { token: () => ann, automatic: false } });
  await tab.appendToStream("Note-1", [event(1)]);
  await anns();
  await tab.appendToStream("Note-1", [event(2)]);
  await tab.close();
  const next = await here.open({ sync: { token: () => bob, automatic: false } });
  await expect(next.sync()).rejects.toMatchObject({ code: "owner-mismatch", owner: "ann", given: "bob" });
  expect(await here.recorded()).toEqual([]);
});
