/** The status of a projection, and who waits for its rows: if folding fails, or its store is closed. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { stubDeniedLocks } from "../../support/denied-locks.ts";
import { eventually } from "../../support/eventually.ts";
import { openLocal, permits, record } from "./permits.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("who waits for rows of a store that is closed is told", async () => {
  const store = await openLocal();
  await record(store, [1, "Asked"]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const watched: typeof permits = {
    ...permits,
    evolve: (row) => {
      resolve();
      return row;
    },
  };
  const table = await store.project(watched);
  const waiting = expect(table.caughtUp()).rejects.toMatchObject({ code: "store-closed" });
  await promise;
  await store.close();
  await waiting;
});

test("an evolve that throws is told to whoever waits, each time and in every tab, until it folds", async () => {
  const name = crypto.randomUUID();
  const [one, other] = [await openLocal(name), await openLocal(name)];
  await record(one, [1, "Asked"]);
  let isWell = false;
  const failing: typeof permits = {
    ...permits,
    evolve: (row, event) => {
      if (!isWell) throw new Error("not yet");
      return permits.evolve(row, event);
    },
  };
  const folding = await one.project(failing);
  await expect(folding.caughtUp()).rejects.toThrow("not yet");
  await expect(folding.caughtUp()).rejects.toThrow("not yet");
  const looking = await other.project(failing);
  await record(one, [2, "Asked"]);
  await expect(looking.caughtUp()).rejects.toThrow("The tab that folds the projection permits failed, and tries again: not yet");
  isWell = true;
  await record(one, [3, "Asked"]);
  await eventually(() => expect([folding.status, looking.status]).toMatchObject([{ state: "ready" }, { state: "ready" }]));
  await Promise.all([folding.caughtUp(), looking.caughtUp()]);
  expect(await looking.query()).toHaveLength(3);
  await one.close();
  await other.close();
});

test("rows that could not be stored are folded again after a while, without any change of the store, and every tab is told", async () => {
  const name = crypto.randomUUID();
  const [one, other] = [await openLocal(name), await openLocal(name)];
  await record(one, [1, "Asked"]);
  const original = IDBObjectStore.prototype.put;
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (this: IDBObjectStore, ...given) {
    const request = original.apply(this, given);
    if (this.name === "rows") request.addEventListener("success", () => this.transaction.abort());
    return request;
  });
  const tables = [await one.project(permits), await other.project(permits)];
  await eventually(() => expect(tables.map(({ status }) => status.state)).toEqual(["failed", "failed"]));
  put.mockRestore();
  await eventually(() => expect(tables.map(({ status }) => status.state)).toEqual(["ready", "ready"]));
  expect(await tables[1]?.query()).toHaveLength(1);
  await one.close();
  await other.close();
});

test("while the browser denies Web Locks, the status says so and queries answer; when it no longer does, rows are folded", async () => {
  const locks = stubDeniedLocks();
  const store = await openLocal();
  await record(store, [1, "Asked"]);
  const table = await store.project(permits);
  await eventually(() => expect(table.status).toMatchObject({ state: "failed", position: 0, error: { code: "storage-failed" } }));
  await expect(table.caughtUp()).rejects.toThrow("The browser denies the Web Lock");
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
  locks.isDenied = false;
  await eventually(() => expect(table.status).toMatchObject({ state: "ready", position: 1, error: undefined }));
  await store.close();
});

test("a status that was read before a page was folded is not shown after it, however long the reading takes", async () => {
  const name = crypto.randomUUID();
  const before = await openLocal(name);
  await record(before, [1, "Asked"]);
  await (await before.project(permits)).caughtUp();
  await before.close();
  const listed = Promise.withResolvers<void>();
  const databases = indexedDB.databases.bind(indexedDB);
  const listing = vi.spyOn(indexedDB, "databases").mockImplementation(() => listed.promise.then(databases));
  const store = await openLocal(name);
  const table = await store.project(permits);
  const seen: number[] = [];
  table.liveStatus().subscribe(({ position }) => seen.push(position));
  await eventually(() => expect(listing).toHaveBeenCalled());
  await record(store, [2, "Asked"]);
  await eventually(() => expect(table.status.position).toBe(2));
  listed.resolve();
  await table.caughtUp();
  expect(table.status).toMatchObject({ state: "ready", position: 2, head: 2 });
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  await store.close();
});
