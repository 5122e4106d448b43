/**
 * The memory store that an app's own tests open. `test/contract` tests what every store does. This file tests what makes this one useful
 * for tests.
 */
import { IDBFactory } from "fake-indexeddb";
import { afterEach, expect, test, vi } from "vitest";
import { type ConfirmedEvent, type Store, StoreClosedError, StreamNotFoundError, VersionConflictError } from "../../../client/index.ts";
import { type MemoryStoreOptions, openMemoryStore } from "../../../client/testing/index.ts";

const opened: Store[] = [];

async function open(options?: MemoryStoreOptions): Promise<Store> {
  const store = await openMemoryStore(options);
  opened.push(store);
  return store;
}

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

const requested = { type: "PermitRequested", data: { channel: "web" } };

async function readAll(store: Store): Promise<ConfirmedEvent[]> {
  const events: ConfirmedEvent[] = [];
  for await (const event of store.readAll()) events.push(event);
  return events;
}

test("it appends, reads, tells how it stands, and closes", async () => {
  const store = await open();
  expect(await store.appendToStream("Permit-1", [requested], { expectedVersion: "no-stream" })).toMatchObject({ version: 1 });
  await expect(store.appendToStream("Permit-1", [requested], { expectedVersion: "no-stream" })).rejects.toThrow(VersionConflictError);
  await store.appendToStream("Permit-2", [requested, { type: "PermitGranted", data: {} }]);
  expect(await store.readStream("Permit-2")).toMatchObject({ version: 2, events: [{ version: 1 }, { version: 2 }] });
  expect((await readAll(store)).map(({ position, streamId, version }) => [position, streamId, version])).toEqual([
    [1, "Permit-1", 1],
    [2, "Permit-2", 1],
    [3, "Permit-2", 2],
  ]);
  expect(store.status).toMatchObject({ connection: "local", pending: 0, conflicts: 0 });
  await store.close();
  await expect(store.readStream("Permit-1")).rejects.toThrow(StoreClosedError);
});

test("stores don't see each other", async () => {
  const [a, b] = [await open({ name: "permits" }), await open({ name: "permits" })];
  await a.appendToStream("Permit-1", [requested]);
  await expect(b.readStream("Permit-1")).rejects.toThrow(StreamNotFoundError);
  expect(await b.appendToStream("Permit-1", [requested], { expectedVersion: "no-stream" })).toMatchObject({ version: 1 });
});

test("stores of one name on one device are two tabs: they hold the same, and the same version is expected in both", async () => {
  const indexedDB = new IDBFactory();
  const [a, b] = [await open({ indexedDB }), await open({ indexedDB })];
  await a.appendToStream("Permit-1", [requested], { expectedVersion: "no-stream" });
  expect((await b.readStream("Permit-1")).events).toHaveLength(1);
  const both = await Promise.allSettled([a, b].map((store) => store.appendToStream("Permit-1", [requested], { expectedVersion: 1 })));
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("what was closed is there when it is opened again on the same device", async () => {
  const indexedDB = new IDBFactory();
  const store = await open({ indexedDB });
  await store.appendToStream("Permit-1", [requested]);
  await store.close();
  const again = await open({ indexedDB });
  expect(await readAll(again)).toMatchObject([{ streamId: "Permit-1", type: "PermitRequested" }]);
  const other = await open({ indexedDB, name: "other" });
  expect(await readAll(other)).toEqual([]);
});

test("a store that syncs keeps what it can't send", async () => {
  const store = await open({
    sync: { url: "https://edge.example/v1/permits", automatic: false, fetch: () => Promise.reject(new TypeError("No network.")) },
  });
  expect(await store.appendToStream("Permit-1", [requested])).toMatchObject({ pending: true, position: null });
  await expect(store.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(store.status).toMatchObject({ connection: "offline", pending: 1 });
  expect((await store.readStream("Permit-1")).events).toMatchObject([{ pending: true }]);
});

test("nothing global is changed, nor asked for", async () => {
  const before = Object.getOwnPropertyNames(globalThis);
  const store = await open();
  await store.appendToStream("Permit-1", [requested]);
  await readAll(store);
  expect(Object.getOwnPropertyNames(globalThis)).toEqual(before);
  expect(globalThis).not.toHaveProperty("indexedDB");
  expect(globalThis).not.toHaveProperty("IDBKeyRange");
});

test("another IndexedDB beside it makes no difference", async () => {
  const bound = vi.fn();
  Object.assign(globalThis, { indexedDB: null, IDBKeyRange: { bound }, IDBRequest: class {}, IDBTransaction: class {} });
  try {
    const store = await open();
    await store.appendToStream("Permit-1", [requested]);
    expect((await store.readStream("Permit-1")).version).toBe(1);
    expect(await readAll(store)).toHaveLength(1);
    expect(bound).not.toHaveBeenCalled();
  } finally {
    for (const name of ["indexedDB", "IDBKeyRange", "IDBRequest", "IDBTransaction"]) Reflect.deleteProperty(globalThis, name);
  }
});
