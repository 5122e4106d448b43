/** Signing out, and deleting a store: of all its databases, in all tabs, wholly or not at all. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { deleteStore, openStore } from "../../../client/index.ts";
import { ERASED_VERSION } from "../../../client/storage/database.ts";
import { finishDeletion } from "../../../client/storage/erase.ts";
import type { EdgeProcess } from "../../support/edge.ts";
import { eventually } from "../../support/eventually.ts";
import { signToken } from "../../support/tokens.ts";
import { openLocal, permits, record } from "../rows/permits.ts";
import { type Device, databaseNames, device, event, startJwtEdge } from "./people.ts";

let edge: EdgeProcess;
let here: Device;
let ann: string;
const token = () => ann;
beforeAll(async () => {
  edge = await startJwtEdge();
  ann = await signToken({ sub: "ann" });
});
afterAll(() => edge.stop());
beforeEach(() => {
  here = device(edge.url);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

/** The databases of the stores with this name. */
const left = async (name = here.name) => (await databaseNames()).filter((database) => database.startsWith(name));

test("deleteStore deletes the log and the rows, and closes the stores of all tabs for good", async () => {
  const name = crypto.randomUUID();
  const [one, two] = [await openLocal(name), await openLocal(name)];
  await record(one, [1, "Asked"]);
  const table = await two.project(permits);
  await table.caughtUp();
  expect(await left(name)).toEqual([name, `${name}/permits@1`]);
  await deleteStore(name);
  expect(await left(name)).toEqual([]);
  for (const store of [one, two]) {
    expect(store.status.connection).toBe("deleted");
    await expect(store.appendToStream("Permit-1", [event()])).rejects.toMatchObject({
      code: "store-closed",
      message: expect.stringContaining("deleted"),
    });
    await expect(store.readStream("Permit-1")).rejects.toMatchObject({ code: "store-closed" });
  }
  await expect(table.query()).rejects.toMatchObject({ code: "store-closed" });
  expect(await left(name)).toEqual([]);
  await Promise.all([one.close(), two.close()]);
  const again = await openLocal(name);
  await expect(again.readStream("Permit-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await again.close();
});

test("a tab that syncs does not make the store anew", async () => {
  const store = await here.open({ sync: { token, pollEvery: 20 } });
  await store.appendToStream("Note-1", [event("kept at the edge")]);
  await store.sync();
  await deleteStore(here.name);
  await expect(store.sync()).rejects.toMatchObject({ code: "store-closed" });
  await store.close();
  expect(await left()).toEqual([]);
  expect(await here.recorded()).toEqual(['ann: "kept at the edge"']);
});

test("deleteStore works without an open store, and deletes the databases of all persons, or of one", async () => {
  for (const person of [undefined, "ann", "bob"]) {
    const store = await openStore({ name: here.name, ...(person !== undefined && { person }) });
    await store.appendToStream("Note-1", [event(person)]);
    await store.close();
  }
  const other = await openStore({ name: `${here.name}-other` });
  await deleteStore(here.name, { person: "ann" });
  expect(await left()).toEqual([`${here.name}-other`, `${here.name}~bob`, here.name].sort());
  await deleteStore(here.name);
  expect(await left()).toEqual([`${here.name}-other`]);
  await deleteStore(here.name);
  await other.close();
});

test("rows of a store whose name begins like another's stay", async () => {
  const store = await openLocal(`${here.name}/archive`);
  await record(store, [1, "Asked"]);
  await (await store.project(permits)).caughtUp();
  await deleteStore(here.name);
  expect(await left()).toEqual([`${here.name}/archive`, `${here.name}/archive/permits@1`]);
  await store.close();
});

test("a deletion that is cut off is finished by the next that opens the store, and nothing of before is there", async () => {
  const store = await openLocal(here.name);
  await record(store, [1, "Asked"]);
  await (await store.project(permits)).caughtUp();
  const deleting = vi.spyOn(indexedDB, "deleteDatabase").mockImplementation(() => {
    throw new DOMException("the tab is gone", "AbortError");
  });
  await expect(deleteStore(here.name)).rejects.toMatchObject({ message: expect.any(String) });
  deleting.mockRestore();
  await store.close();
  expect((await indexedDB.databases()).find(({ name }) => name === here.name)?.version).toBe(ERASED_VERSION);
  const again = await openLocal(here.name);
  await expect(again.readStream("Permit-1")).rejects.toMatchObject({ code: "stream-not-found" });
  expect(await left()).toEqual([here.name]);
  await again.close();
});

test("signOut with something pending returns it, and deletes nothing", async () => {
  here.isOnline = false;
  const store = await here.open({ person: "ann", sync: { token } });
  await store.appendToStream("Note-1", [event("of ann")]);
  const { isDeleted, unconfirmed } = await store.signOut();
  expect(isDeleted).toBe(false);
  expect(unconfirmed).toMatchObject([{ state: "pending", streamId: "Note-1", events: [{ data: "of ann" }] }]);
  expect(await store.appendToStream("Note-1", [event("and more")])).toMatchObject({ version: 2 });
  here.isOnline = true;
  await store.sync();
  expect(await store.signOut()).toEqual({ isDeleted: true, unconfirmed: [] });
  expect(await left()).toEqual([]);
  expect(await here.recorded()).toEqual(['ann: "of ann"', 'ann: "and more"']);
});

test("signOut with `discard` deletes this person's data alone, and tells the other tabs", async () => {
  here.isOnline = false;
  const anns = await here.open({ person: "ann", sync: { token } });
  const other = await here.open({ person: "ann", sync: { token } });
  const bobs = await here.open({ person: "bob", sync: { token: () => signToken({ sub: "bob" }) } });
  await anns.appendToStream("Note-1", [event("of ann")]);
  await bobs.appendToStream("Note-2", [event("of bob")]);
  const { isDeleted, unconfirmed } = await anns.signOut({ discard: true });
  expect([isDeleted, unconfirmed.length]).toEqual([true, 1]);
  await eventually(() => expect(other.status.connection).toBe("deleted"));
  await expect(other.appendToStream("Note-1", [event("late")])).rejects.toMatchObject({ code: "store-closed" });
  here.isOnline = true;
  await bobs.sync();
  expect(await here.recorded()).toEqual(['bob: "of bob"']);
  expect(await left()).toEqual([`${here.name}~bob`]);
});

test("an append of another tab while a person signs out is returned, refused or confirmed: never acknowledged and deleted", async () => {
  const [one, two] = [await openStore({ name: here.name }), await openStore({ name: here.name })];
  await two.appendToStream("Note-1", [event(0)]);
  await deleteStore(here.name);
  for (let round = 0; round < 20; round++) {
    const [a, b] = [await openStore({ name: here.name }), await openStore({ name: here.name })];
    const appending = b.appendToStream("Note-1", [event(round)]).then(
      () => true,
      (error: unknown) => error,
    );
    const { isDeleted } = await a.signOut();
    const appended = await appending;
    if (appended === true) expect(isDeleted).toBe(false);
    else expect(appended).toMatchObject({ code: "store-closed" });
    await Promise.all([a.close(), b.close()]);
    await deleteStore(here.name);
  }
  await Promise.all([one.close(), two.close()]);
});

test("a sign-out that is cut off is finished when the store is opened again", async () => {
  const store = await openStore({ name: here.name });
  await store.appendToStream("Note-1", [event("discarded")]);
  const opening = vi.spyOn(indexedDB, "databases").mockRejectedValue(new DOMException("the tab is gone", "AbortError"));
  const open = indexedDB.open.bind(indexedDB);
  const spy = vi.spyOn(indexedDB, "open").mockImplementation((name, version) => {
    if (version === ERASED_VERSION) throw new DOMException("the tab is gone", "AbortError");
    return open(name, version);
  });
  await expect(store.signOut({ discard: true })).rejects.toThrow("the tab is gone");
  opening.mockRestore();
  spy.mockRestore();
  await expect(store.appendToStream("Note-1", [event("late")])).rejects.toMatchObject({ code: "store-closed" });
  await store.close();
  const again = await openStore({ name: here.name });
  await expect(again.readStream("Note-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await again.close();
});

test("a database that nobody deletes is not taken for one whose deletion was cut off, also one of a newer version of the app", async () => {
  const store = await openStore({ name: here.name });
  await store.appendToStream("Note-1", [event("kept")]);
  await store.close();
  expect(await finishDeletion(globalThis, here.name)).toBe(false);
  const again = await openStore({ name: here.name });
  expect((await again.readStream("Note-1")).events.map(({ data }) => data)).toEqual(["kept"]);
  // While it is opened, and afterwards.
  const opening = openStore({ name: here.name });
  const newer = indexedDB.open(here.name, 1000);
  const upgrading = new Promise<IDBDatabase>((resolve) => newer.addEventListener("success", () => resolve(newer.result)));
  const outcome = await opening.then(
    (opened) => opened.close(),
    (error: unknown) => error,
  );
  if (outcome !== undefined) expect(outcome).toMatchObject({ message: expect.stringContaining("newer version") });
  const upgraded = await upgrading;
  expect(await finishDeletion(globalThis, here.name)).toBe(false);
  expect(upgraded.version).toBe(1000);
  expect([...upgraded.objectStoreNames]).toContain("events");
  upgraded.close();
  await expect(openStore({ name: here.name })).rejects.toMatchObject({ message: expect.stringContaining("newer version") });
  await again.close();
});
