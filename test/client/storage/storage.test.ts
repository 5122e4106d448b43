/** IndexedDB as it behaves in reality: space runs out, and other versions of the app open the database. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { openStore, type Store, StoreClosedError, StoreFullError } from "../../../client/index.ts";
import { dataOf, event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { problem } from "../../support/problem.ts";

const { devices } = edgeDevices();
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const nowhere = { url: "http://127.0.0.1:9/v1/nowhere", automatic: false };
const open = (name: string = crypto.randomUUID()) => openStore({ name, sync: nowhere });

/** A connection of some other code to the database. */
function rawOpen(name: string, version: number, upgrade?: (db: IDBDatabase) => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => upgrade?.(request.result);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @returns whether an open that began since then was blocked by another connection */
function tellBlocked(): () => boolean {
  let isBlocked = false;
  const open = indexedDB.open.bind(indexedDB);
  vi.spyOn(indexedDB, "open").mockImplementation((...call) => {
    const request = open(...call);
    request.addEventListener("blocked", () => {
      isBlocked = true;
    });
    return request;
  });
  return () => isBlocked;
}

test("no room for what the edge sends: reads go on, the outbox still reaches the edge, and room makes all well", async () => {
  const a = await devices.open("A", { sync: { automatic: true } });
  await a.appendToStream("A-1", [event("mine 1")]);
  await a.sync();
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("no room", "QuotaExceededError");
  });
  for (let i = 0; i < 5; i++) await devices.atEdge.appendToStream("B-1", [event(i)]);
  await a.appendToStream("A-1", [event("mine 2")]);
  await expect.poll(() => dataOf(devices.atEdge, "A-1"), { timeout: 10_000 }).toEqual(["mine 1", "mine 2"]);
  await expect(a.sync()).rejects.toBeInstanceOf(StoreFullError);
  expect(await dataOf(a, "A-1")).toEqual(["mine 1", "mine 2"]);
  expect(a.status).toMatchObject({ pending: 1, acknowledged: 1, problem: { code: "store-full" } });
  put.mockRestore();
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0, problem: null });
  for (const id of ["A-1", "B-1"]) await expectAgreement(id, devices.atEdge, a);
});

test("strict really asked: what exists here alone is written strictly, what the edge has too is not", async () => {
  const a = await devices.open("A");
  // A proxy that takes no commit of this kind.
  const choosy: typeof fetch = (input, init) =>
    String(init?.body).includes('"never"') ? Promise.resolve(problem("payload-too-large")) : fetch(input, init);
  const b = await devices.open("B", { sync: { fetch: choosy } });
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction");
  const written = () => {
    const writes = spy.mock.calls
      .filter(([, mode]) => mode === "readwrite")
      .map(([stores, , options]) => [String(stores), options?.durability]);
    spy.mockClear();
    return Object.fromEntries(writes);
  };
  await a.appendToStream("A-1", [event("A")], { expectedVersion: "no-stream" });
  expect(written()).toEqual({ "events,meta": "strict" });
  await a.sync();
  expect(written()).toEqual({ lease: "relaxed", "events,parked,meta,lease": "relaxed" });
  await b.appendToStream("A-1", [event("B")], { expectedVersion: "no-stream" });
  await b.appendToStream("B-1", [event("never")]);
  written();
  await b.sync();
  // Parked with a page (the edge has the page, so losing both loses nothing), and refused by the edge.
  expect(written()).toEqual({ lease: "relaxed", "events,parked,meta,lease": "relaxed", "events,parked,lease,meta": "strict" });
  expect(b.status.conflicts).toBe(2);
  await b.conflicts()[0]?.rebase();
  expect(written()).toEqual({ "parked,events": "strict" });
  await b.conflicts()[0]?.discard();
  expect(written()).toEqual({ "parked,events": "strict" });
  // A rule may put events in a commit's place that exist here alone.
  const c = await devices.open("C", { onConflict: () => [event("instead")] });
  written();
  await c.sync();
  expect(written()).toMatchObject({ "events,parked,meta,lease": "strict" });
});

test("blocked: an older tab that does not let go is told of, and one that does lets the newer one in", async () => {
  const name = crypto.randomUUID();
  const upgrade = (db: IDBDatabase) => {
    db.createObjectStore("events", { keyPath: "key", autoIncrement: true }).createIndex("streams", "streams", { multiEntry: true });
    db.createObjectStore("parked", { keyPath: "seq" });
    db.createObjectStore("meta").put({ authority: "edge", log: "a-log", position: 0, head: 0 }, "history");
  };
  const old = await rawOpen(name, 1, upgrade);
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const isBlocked = tellBlocked();
  const refused = expect(open(name)).rejects.toMatchObject({ code: "storage-failed", message: expect.stringContaining("older tab") });
  await expect.poll(isBlocked).toBe(true);
  await vi.advanceTimersByTimeAsync(10_000);
  await refused;
  vi.useRealTimers();
  const later = open(name);
  const close = vi.spyOn(IDBDatabase.prototype, "close");
  old.close();
  const store = await later;
  // The connection that was given up opens after all, and nobody else would close it.
  expect(close.mock.contexts.map((db) => (db as IDBDatabase).name).filter((closed) => closed === name)).toHaveLength(2);
  expect(store.status.cursor).toEqual({ log: "a-log", position: 0 });
  expect(await store.appendToStream("A-1", [event(1)])).toMatchObject({ version: 1 });
  await store.close();
});

test("versionchange: a tab that a newer version wants to pass lets go at once, says so, and nothing is half done", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const seen: string[] = [];
  store.liveStatus().subscribe(({ connection }) => seen.push(connection));
  const newer = await rawOpen(name, 1000);
  expect([seen[0], seen.at(-1)]).toEqual(["offline", "outdated"]);
  await expect(store.appendToStream("A-1", [event(2)])).rejects.toBeInstanceOf(StoreClosedError);
  await expect(store.sync()).rejects.toBeInstanceOf(StoreClosedError);
  newer.close();
  await expect(open(name)).rejects.toMatchObject({ code: "storage-failed", message: expect.stringContaining("newer version") });
  await store.close();
});

test("IndexedDB missing: the store refuses to open and says what to use instead", async () => {
  vi.stubGlobal("indexedDB", undefined);
  await expect(open()).rejects.toMatchObject({ code: "storage-failed", message: expect.stringContaining("headwater/http") });
});

test("a store opened with persist: false asks for nothing, and store.persist() asks when the app calls it", async () => {
  let isPersisted = false;
  const ask = vi.fn(async () => {
    isPersisted = true;
    return true;
  });
  vi.stubGlobal("navigator", { storage: { persisted: () => Promise.resolve(isPersisted), persist: ask } });
  const store = await openStore({ name: crypto.randomUUID(), persist: false });
  await expect.poll(() => store.status.persisted).toBe(false);
  expect(ask).not.toHaveBeenCalled();
  expect(await store.persist()).toBe(true);
  expect(store.status.persisted).toBe(true);
  expect(await store.persist()).toBe(true);
  expect(ask).toHaveBeenCalledTimes(1);
  vi.stubGlobal("navigator", {});
  expect(await store.persist()).toBeNull();
  await store.close();
  await expect(store.persist()).rejects.toBeInstanceOf(StoreClosedError);
});

test("persist() is asked for once, and its answer stands in the status", async () => {
  const answers: [persisted: boolean, persist: boolean, asked: number][] = [
    [true, false, 0],
    [false, true, 1],
    [false, false, 1],
  ];
  for (const [persisted, persist, asked] of answers) {
    const ask = vi.fn(() => Promise.resolve(persist));
    vi.stubGlobal("navigator", { storage: { persisted: () => Promise.resolve(persisted), persist: ask } });
    const store: Store = await open();
    await expect.poll(() => store.status.persisted).toBe(persisted || persist);
    expect(ask).toHaveBeenCalledTimes(asked);
    await store.close();
  }
});
