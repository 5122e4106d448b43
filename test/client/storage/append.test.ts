import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { type ConfirmedEvent, openStore, StorageFailedError, StoreClosedError, StoreFullError } from "../../../client/index.ts";

let count = 0;
const open = (options: { durability?: "strict" | "relaxed"; sync?: { url: string } } = {}) =>
  openStore({ name: `append-${++count}`, ...options });
const event = (type = "Noted") => ({ type, data: {} });

function spyOnTransactions() {
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction");
  return {
    writes: () => spy.mock.calls.filter(([, mode]) => mode === "readwrite"),
    restore: () => spy.mockRestore(),
  };
}

test("appends of one tick share a transaction, and each is decided on its own", async () => {
  const store = await open();
  const transactions = spyOnTransactions();
  const results = await Promise.allSettled([
    store.appendToStream("A-1", [event()], { expectedVersion: "no-stream" }),
    store.appendToStream("A-1", [event()], { expectedVersion: "no-stream" }),
    store.appendToStream("A-1", [event()], { expectedVersion: 1 }),
    ...Array.from({ length: 100 }, (_, i) => store.appendToStream(`B-${i}`, [event()])),
  ]);
  expect(transactions.writes()).toHaveLength(1);
  transactions.restore();
  expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", ...Array(101).fill("fulfilled")]);
  expect((await store.readStream("A-1")).version).toBe(2);
  await store.close();
});

test("what exists on this device alone is written strictly, unless the app says relaxed", async () => {
  for (const [options, durability] of [
    [{}, "strict"],
    [{ durability: "relaxed" }, "relaxed"],
  ] as const) {
    const store = await open(options);
    const transactions = spyOnTransactions();
    await store.appendToStream("A-1", [event()]);
    expect(transactions.writes()).toMatchObject([[expect.anything(), "readwrite", { durability }]]);
    transactions.restore();
    await store.close();
  }
});

/** A store that keeps appends in its outbox, and one that orders them itself; the method that each writes events with. */
const KINDS = [
  ["synced", { sync: { url: "http://127.0.0.1:9/v1/nowhere" } }, "add"],
  ["local", {}, "put"],
] as const;

test.each(KINDS)(
  "append() resolves though the write failed: that of a %s store whose transaction aborts late rejects, keeps nothing, and the next one goes on",
  async (...kind) => {
    const [, options, method] = kind;
    const store = await open(options);
    const original = IDBObjectStore.prototype[method];
    const write = vi.spyOn(IDBObjectStore.prototype, method).mockImplementation(function (this: IDBObjectStore, ...given) {
      const request = original.apply(this, given);
      request.addEventListener("success", () => this.transaction.abort());
      return request;
    });
    await expect(store.appendToStream("A-1", [event()])).rejects.toBeInstanceOf(StorageFailedError);
    write.mockRestore();
    expect(await store.appendToStream("A-1", [event()], { expectedVersion: "no-stream" })).toMatchObject({ version: 1 });
    await store.close();
  },
);

test.each(KINDS)("a full disk rejects the append of a %s store with its own error, and reads go on", async (...kind) => {
  const [, options, method] = kind;
  const store = await open(options);
  await store.appendToStream("A-1", [event("Before")]);
  const write = vi.spyOn(IDBObjectStore.prototype, method).mockImplementation(() => {
    throw new DOMException("no room", "QuotaExceededError");
  });
  await expect(store.appendToStream("A-1", [event("Lost")])).rejects.toBeInstanceOf(StoreFullError);
  expect((await store.readStream("A-1")).events.map(({ type }) => type)).toEqual(["Before"]);
  write.mockRestore();
  expect(await store.appendToStream("A-1", [event("After")], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  await store.close();
});

test("a quota that is exceeded rejects with its own error, also if the browser has a class for it", async () => {
  // https://webidl.spec.whatwg.org/#quotaexceedederror
  class QuotaExceededError extends DOMException {
    readonly [Symbol.toStringTag] = "QuotaExceededError";
  }
  const store = await open();
  const write = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new QuotaExceededError("no room", "QuotaExceededError");
  });
  await expect(store.appendToStream("A-1", [event()])).rejects.toBeInstanceOf(StoreFullError);
  write.mockRestore();
  await store.close();
});

test("where one append of a group can't be written, none of the group is kept", async () => {
  const store = await open({ sync: { url: "http://127.0.0.1:9/v1/nowhere" } });
  const original = IDBObjectStore.prototype.add;
  let records = 0;
  const write = vi.spyOn(IDBObjectStore.prototype, "add").mockImplementation(function (this: IDBObjectStore, ...given) {
    if (++records === 2) throw new DOMException("no room", "QuotaExceededError");
    return original.apply(this, given);
  });
  const appends = Array.from({ length: 200 }, (_, i) => store.appendToStream(`A-${i}`, [event()]));
  const results = await Promise.allSettled(appends);
  write.mockRestore();
  expect(records).toBeGreaterThan(1);
  expect(results.every((result) => result.status === "rejected" && result.reason instanceof StoreFullError)).toBe(true);
  await expect(store.readStream("A-0")).rejects.toMatchObject({ code: "stream-not-found" });
  expect(store.status.pending).toBe(0);
  await store.close();
});

test("a connection that died is opened again and the append done once", async () => {
  const store = await open();
  await store.appendToStream("A-1", [event()]);
  const transaction = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementationOnce(() => {
    throw new DOMException("The database connection is closing.", "InvalidStateError");
  });
  expect(await store.appendToStream("A-1", [event()], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  transaction.mockRestore();
  expect((await store.readStream("A-1")).events).toHaveLength(2);
  await store.close();
});

test("a newer version of the database closes the store and says so", async () => {
  const store = await open();
  await new Promise((resolve, reject) => {
    const request = indexedDB.open(`append-${count}`, 1000);
    request.onsuccess = () => resolve(request.result.close());
    request.onerror = () => reject(request.error);
  });
  expect(store.status.connection).toBe("outdated");
  await expect(store.appendToStream("A-1", [event()])).rejects.toBeInstanceOf(StoreClosedError);
});

test("close waits for appends under way and refuses later ones", async () => {
  const store = await open();
  const appended = store.appendToStream("A-1", [event()]);
  await store.close();
  expect(await appended).toMatchObject({ version: 1 });
  await expect(store.appendToStream("A-1", [event()])).rejects.toBeInstanceOf(StoreClosedError);
  await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StoreClosedError);
});

test("a store that was local hands its events to the edge's outbox, in order, on the same versions", async () => {
  const local = await open();
  await local.appendToStream("A-1", [event("One"), event("Two")], { expectedVersion: "no-stream" });
  await local.appendToStream("A-1", [event("Three")], { expectedVersion: 2 });
  expect(local.status).toMatchObject({ connection: "local", pending: 0 });
  const before = (await local.readStream("A-1")).events;
  await local.close();

  const synced = await openStore({ name: `append-${count}`, sync: { url: "http://127.0.0.1:9/v1/nowhere" } });
  // Side by side in one stream, they go to the edge as one commit.
  expect(synced.status).toMatchObject({ connection: "offline", pending: 1, cursor: null });
  const after = (await synced.readStream("A-1")).events;
  expect(after.map(({ id, version, pending }) => ({ id, version, pending }))).toEqual(
    before.map(({ id, version }) => ({ id, version, pending: true })),
  );
  await synced.close();
});

test.each(KINDS)(
  "two tabs append to the same stream of a %s store: each sees the other's version, and one of two exact commits is refused",
  async (...kind) => {
    const options = { name: `append-${++count}`, ...kind[1] };
    const [one, two] = await Promise.all([openStore(options), openStore(options)]);
    for (let version = 0; version < 6; version += 2) {
      expect(await one.appendToStream("A-1", [event()], { expectedVersion: version })).toMatchObject({ version: version + 1 });
      expect(await two.appendToStream("A-1", [event()], { expectedVersion: version + 1 })).toMatchObject({ version: version + 2 });
      await expect(one.appendToStream("A-1", [event()], { expectedVersion: version + 1 })).rejects.toMatchObject({
        actualVersion: version + 2,
      });
    }
    const race = await Promise.allSettled([one, two].map((tab) => tab.appendToStream("A-1", [event()], { expectedVersion: 6 })));
    expect(race.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
    expect((await one.readStream("A-1")).events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await Promise.all([one.close(), two.close()]);
  },
);

test("two tabs of a local store append at once, to new streams and to known ones: positions have no gap, and none is given twice", async () => {
  const name = `append-${++count}`;
  const tabs = await Promise.all([openStore({ name }), openStore({ name })]);
  for (let round = 0; round < 5; round++) {
    const appends = tabs.flatMap((tab, i) => ["A-1", `B-${i}`, `C-${round}`].map((id) => tab.appendToStream(id, [event(), event()])));
    await Promise.all(appends);
  }
  const all: ConfirmedEvent[] = [];
  for await (const read of tabs[0].readAll()) all.push(read);
  expect(all.map(({ position }) => position)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  expect(all.filter(({ streamId }) => streamId === "A-1").map(({ version }) => version)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  await Promise.all(tabs.map((tab) => tab.close()));
});

/** The requests of transactions that write the store's events or its replica while `work` runs, in their order. */
async function requestsOf(work: () => Promise<unknown>): Promise<string[]> {
  const ofStores = (["get", "getKey", "getAll", "openCursor", "openKeyCursor", "count", "put", "add"] as const).map((method) =>
    vi.spyOn(IDBObjectStore.prototype, method),
  );
  const ofIndexes = (["get", "getAll", "getAllKeys", "openKeyCursor", "count"] as const).map((method) =>
    vi.spyOn(IDBIndex.prototype, method),
  );
  const spies = [...ofStores, ...ofIndexes];
  await work();
  const made = spies.flatMap((spy) =>
    spy.mock.contexts.flatMap((source: unknown, i) => {
      const store = source instanceof IDBIndex ? source.objectStore : source;
      if (!(store instanceof IDBObjectStore) || store.transaction.mode !== "readwrite") return [];
      return [{ method: spy.getMockName(), store: store.name, order: spy.mock.invocationCallOrder[i] ?? 0 }];
    }),
  );
  for (const spy of spies) spy.mockRestore();
  const ours = made.filter(({ store }) => store === "events" || store === "meta");
  return ours.sort((a, b) => a.order - b.order).map(({ method }) => method);
}

test("an append on versions that the tab remembers waits for nothing that it reads: one request if pending, four in a local store", async () => {
  for (const [options, requests] of [
    [KINDS[0][1], ["add"]],
    [KINDS[1][1], ["get", "get", "put", "put"]],
  ] as const) {
    const store = await open(options);
    await store.appendToStream("A-1", [event()]);
    expect(await requestsOf(() => store.appendToStream("A-1", [event()]))).toEqual(requests);
    expect(await requestsOf(() => store.appendToStream("B-1", [event()]))).toEqual(requests);
    await store.close();
  }
});
