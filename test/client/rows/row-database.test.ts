/** The databases of rows: deleted, dead, and not to be opened for a moment. */
import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { openLocal, permits, record } from "./permits.ts";

test("rows that somebody deletes are made anew", async () => {
  const name = crypto.randomUUID();
  const store = await openLocal(name);
  await record(store, [1, "Asked"], [2, "Asked"]);
  const table = await store.project(permits);
  await table.caughtUp();
  const states = new Set<string>();
  const { promise, resolve } = Promise.withResolvers<void>();
  table.liveStatus().subscribe(({ state }) => {
    states.add(state);
    if (states.has("building") && state === "ready") resolve();
  });
  indexedDB.deleteDatabase(`${name}/permits@1`);
  await promise;
  expect(await table.query({ index: "status", equals: "Asked" })).toHaveLength(2);
  await store.close();
});

test("a projection that could not be opened is opened at the next call", async () => {
  const name = crypto.randomUUID();
  const store = await openLocal(name);
  await record(store, [1, "Asked"]);
  const open = indexedDB.open.bind(indexedDB);
  const failing = vi.spyOn(indexedDB, "open").mockImplementation((database, version) => {
    if (database.startsWith(`${name}/`)) throw new DOMException("no room", "QuotaExceededError");
    return open(database, version);
  });
  await expect(store.project(permits)).rejects.toMatchObject({ code: "store-full" });
  await expect(store.project({ ...permits, version: 2 })).rejects.toMatchObject({ code: "store-full" });
  failing.mockRestore();
  const table = await store.project(permits);
  await table.caughtUp();
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
  await store.close();
});

test("rows whose connection is dead, and says nothing of it, are read and folded on a new one", async () => {
  const name = crypto.randomUUID();
  const store = await openLocal(name);
  await record(store, [1, "Asked"]);
  const table = await store.project(permits);
  await table.caughtUp();
  const dead = new Set<IDBDatabase>();
  const transaction = IDBDatabase.prototype.transaction;
  let isKilling = true;
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, ...given) {
    if (isKilling && this.name.startsWith(`${name}/`)) {
      dead.add(this);
      isKilling = false;
    }
    if (dead.has(this)) throw new DOMException("The database connection is closing.", "InvalidStateError");
    return transaction.apply(this, given);
  });
  const open = vi.spyOn(indexedDB, "open");
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
  isKilling = true;
  await record(store, [1, "Granted"]);
  await table.caughtUp();
  expect(await table.get("Permit-1")).toEqual({ status: "Granted", steps: 2 });
  expect(dead.size).toBe(2);
  expect(open.mock.calls.map(([database]) => database).filter((database) => database !== `${name}~`)).toEqual(
    Array(2).fill(`${name}/permits@1`),
  );
  spy.mockRestore();
  open.mockRestore();
  await store.close();
});

test("databases that can't be listed for a moment: the version before answers all the same", async () => {
  const name = crypto.randomUUID();
  const before = await openLocal(name);
  await record(before, [1, "Asked"]);
  await (await before.project(permits)).caughtUp();
  await before.close();
  const store = await openLocal(name);
  const aborted = new DOMException("The connection was closed.", "AbortError");
  const listing = vi.spyOn(indexedDB, "databases").mockRejectedValueOnce(aborted);
  const next = { ...permits, version: 2 };
  const table = await store.project(next);
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
  expect(listing.mock.calls.length).toBeGreaterThan(1);
  listing.mockRejectedValue(aborted);
  await expect(store.project({ ...next, version: 3 })).rejects.toMatchObject({ code: "storage-failed" });
  listing.mockRestore();
  await store.close();
});
