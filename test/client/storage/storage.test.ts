/** IndexedDB as it behaves in reality: connections are lost, space runs out, and other versions of the app open the database. */
import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, expect, test, vi } from "vitest";
import { openStore, StorageFailedError, type Store, StoreClosedError, StoreFullError } from "../../../client/index.ts";
import { dataOf, event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";

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

/** How a transaction ends when the browser closes its connection. */
type Death = (tx: IDBTransaction) => void;

/** Chromium while it deletes the site's data: the transaction fails with UnknownError, its requests with AbortError. */
const aborted: Death = (tx) => queueMicrotask(() => abort(tx));

/** As Safari reports a storage process that went away: what was committed stays so, and the page is told otherwise. */
const lostAfterCommit: Death = (tx) => reportAsAborted(tx, "Connection to Indexed Database server lost.");

const DEATHS: readonly (readonly [string, Death])[] = [
  ["aborted under way", aborted],
  // Chromium a moment later: the requests fail with AbortError, and neither `complete` nor `abort` follows.
  [
    "begun on a connection that is dead",
    (tx) => {
      tx.addEventListener("abort", (event) => event.stopImmediatePropagation());
      queueMicrotask(() => tx.abort());
    },
  ],
  ["committed, and reported as lost", lostAfterCommit],
  ["committed, and reported as aborted for no reason", (tx) => reportAsAborted(tx)],
];

/** After as many turns of the database, if it is not complete by then. */
function abortedAfter(turns: number): Death {
  return (tx) => void (turns > 0 ? setImmediate(abortedAfter(turns - 1), tx) : abort(tx));
}

/** As the browser does. */
function abort(tx: IDBTransaction & Partial<FakeTransaction>): void {
  if (tx._state !== "finished") tx._abort?.("UnknownError");
}

interface FakeTransaction {
  readonly _state: string;
  _abort(name: string): void;
}

function reportAsAborted(tx: IDBTransaction, why?: string): void {
  tx.addEventListener("complete", (complete) => {
    complete.stopImmediatePropagation();
    if (why !== undefined) Object.defineProperty(tx, "error", { value: new DOMException(why, "UnknownError") });
    const fresh = { type: "abort", dispatched: false, propagationStopped: false, immediatePropagationStopped: false, eventPath: [] };
    const abort: Event = Object.assign(Object.create(Object.getPrototypeOf(complete)), complete, fresh);
    setTimeout(() => tx.dispatchEvent(abort));
  });
}

/** The next transaction that writes ends so. */
function dieOnce(death: Death): void {
  dieAfter(death, 0, (mode) => mode === "readwrite");
}

/** A transaction ends so, after as many others of its kind. @returns how many there were by now */
function dieAfter(death: Death, count: number, isOfKind: (mode: IDBTransactionMode, stores: DOMStringList) => boolean): () => number {
  const transaction = IDBDatabase.prototype.transaction;
  let seen = 0;
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, ...given) {
    const tx = transaction.apply(this, given);
    if (!isOfKind(tx.mode, tx.objectStoreNames) || seen++ !== count) return tx;
    spy.mockRestore();
    death(tx);
    return tx;
  });
  return () => seen;
}

/** Has the next opens of a database end as Chromium ends them while it deletes the site's data. Returns the names that were opened. */
function abortOpens(name: string, times: number): string[] {
  const opened: string[] = [];
  const open = indexedDB.open.bind(indexedDB);
  vi.spyOn(indexedDB, "open").mockImplementation((database, version) => {
    opened.push(database);
    if (database !== name || times-- <= 0) return open(database, version);
    const request = Object.assign(new EventTarget(), { error: new DOMException("The connection was closed.", "AbortError") });
    setTimeout(() => request.dispatchEvent(new Event("error")));
    return request as unknown as IDBOpenDBRequest; // as much of one as a failed one needs
  });
  return opened;
}

/** The connection that a store has now. */
async function connectionOf(store: Store): Promise<Parameters<typeof forceCloseDatabase>[0]> {
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction");
  await store.readStream("A-1");
  const [db] = spy.mock.contexts;
  spy.mockRestore();
  return db as Parameters<typeof forceCloseDatabase>[0];
}

/** Deletes a database. Returns false if somebody still has it open. */
function deleted(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onblocked = () => resolve(false);
    request.onsuccess = () => resolve(true);
  });
}

test.each(DEATHS)("a transaction %s: its append is done once, and resolves", async (_, death) => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const opened = abortOpens(name, 0);
  // Decided on what the tab remembers, then on what it reads, then with ids that it looks for.
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2, duplicate: false });
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(3)], { expectedVersion: 2 })).toMatchObject({ version: 3 });
  dieOnce(death);
  const ids = [crypto.randomUUID(), crypto.randomUUID()].map((id) => ({ ...event(id), id }));
  expect(await store.appendToStream("A-1", ids, { expectedVersion: 3 })).toMatchObject({ version: 5 });
  // Several in one transaction.
  dieOnce(death);
  const group = await Promise.all([6, 7, 8].map((n) => store.appendToStream(n === 7 ? "A-2" : "A-1", [event(n)])));
  expect(group.map(({ version }) => version)).toEqual([6, 1, 7]);
  expect(await dataOf(store, "A-1")).toEqual([1, 2, 3, ...ids.map(({ id }) => id), 6, 8]);
  expect(await dataOf(store, "A-2")).toEqual([7]);
  await expect.poll(() => store.status.pending).toBe(7);
  expect(opened).toEqual([name, name, name, name]);
  expect(await store.appendToStream("A-1", [event(9)], { expectedVersion: 7 })).toMatchObject({ version: 8 });
  await store.close();
  expect(await deleted(name)).toBe(true);
});

test.each(DEATHS)("a transaction %s: a store that orders its events itself records them once", async (_, death) => {
  const store = await openStore({ name: crypto.randomUUID() });
  await store.appendToStream("A-1", [event(1)]);
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2, position: 2 });
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  await store.close();
});

test.each(DEATHS)("a transaction %s: reads, and all that sync writes, are done once more", async (_, death) => {
  // A proxy that takes no commit of this kind.
  const choosy: typeof fetch = (input, init) =>
    String(init?.body).includes('"never"') ? Promise.resolve(new Response("", { status: 413 })) : fetch(input, init);
  const a = await devices.open("A", { sync: { fetch: choosy } });
  let transactions = 0;
  for (let isDone = false; !isDone; transactions++) {
    await devices.atEdge.appendToStream("A-1", [event(`edge ${transactions}`)]);
    await a.appendToStream("A-1", [event(`device ${transactions}`)]);
    await a.appendToStream(`B-${transactions}`, [event("never")]);
    const seen = dieAfter(death, transactions, () => true);
    await a.sync();
    isDone = seen() <= transactions;
    vi.restoreAllMocks();
    expect(a.status, `transaction ${transactions}`).toMatchObject({ pending: 0, conflicts: transactions + 1, problem: null });
  }
  expect(transactions).toBeGreaterThan(5);
  dieAfter(death, 0, (mode) => mode === "readonly");
  expect(await dataOf(a, "A-1")).toHaveLength(2 * transactions);
  await expectAgreement("A-1", devices.atEdge, a);
});

test("a transaction that is aborted between its requests: nothing of it is an unhandled rejection, on which Vitest fails", async () => {
  const a = await devices.open("A");
  for (let turns = 0; turns < 10; turns++) {
    await devices.atEdge.appendToStream("A-1", [event(`edge ${turns}`)]);
    await a.appendToStream("A-1", [event(`device ${turns}`)]);
    dieAfter(abortedAfter(turns), 0, (mode, stores) => mode === "readwrite" && stores.contains("parked"));
    await a.sync();
    dieOnce(abortedAfter(turns));
    await a.reset();
  }
  await a.sync();
  await expectAgreement("A-1", devices.atEdge, a);
});

test("a conflict whose end was committed, and reported as lost, is resolved", async () => {
  const [a, b] = [await devices.open("A"), await devices.open("B")];
  const held = ["A"];
  await a.appendToStream("A-1", [event("A")]);
  for (const device of [a, b]) await device.sync();
  for (const end of ["rebase", "discard"] as const) {
    await b.appendToStream("A-1", [event(end)], { expectedVersion: held.length });
    await a.appendToStream("A-1", [event(`before ${end}`)]);
    held.push(`before ${end}`);
    for (const device of [a, b]) await device.sync();
    expect(b.conflicts()).toHaveLength(1);
    dieOnce(lostAfterCommit);
    await b.conflicts()[0]?.[end]();
    if (end === "rebase") held.push(end);
    expect(b.conflicts()).toEqual([]);
    expect(await dataOf(b, "A-1")).toEqual(held);
    for (const device of [b, a]) await device.sync();
  }
  await expectAgreement("A-1", devices.atEdge, a, b);
});

test("an open that the browser aborts is tried once more: when the store is opened, and when its connection was lost", async () => {
  const name = crypto.randomUUID();
  const atStart = abortOpens(name, 1);
  const store = await open(name);
  expect(atStart).toEqual([`${name}~`, name, name]);
  await store.appendToStream("A-1", [event(1)]);
  vi.restoreAllMocks();
  const later = abortOpens(name, 1);
  dieOnce(aborted);
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  expect(later).toEqual([name, name]);
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  await store.close();
});

test("an open that the browser always aborts rejects with a typed error, and works as soon as the browser opens it", async () => {
  const name = crypto.randomUUID();
  const atStart = abortOpens(name, Number.POSITIVE_INFINITY);
  await expect(open(name)).rejects.toMatchObject({ code: "storage-failed", message: "The connection was closed." });
  expect(atStart).toEqual([`${name}~`, name, name]);
  vi.restoreAllMocks();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const later = abortOpens(name, Number.POSITIVE_INFINITY);
  dieOnce(aborted);
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toBeInstanceOf(StorageFailedError);
  await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StorageFailedError);
  expect(later).toEqual([name, name, name, name]);
  vi.restoreAllMocks();
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  // Closing does not say once more why it could not be opened.
  abortOpens(name, Number.POSITIVE_INFINITY);
  forceCloseDatabase(await connectionOf(store));
  const lost = store.readStream("A-1");
  await Promise.all([expect(lost).rejects.toBeInstanceOf(StorageFailedError), store.close()]);
});

test("a connection that reports its end late does not take the new one along", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const old = await connectionOf(store);
  dieOnce(aborted);
  await store.appendToStream("A-1", [event(2)]);
  const opened = abortOpens(name, 0);
  const reported = new Promise((resolve) => (old as unknown as IDBDatabase).addEventListener("close", resolve));
  forceCloseDatabase(old);
  await reported;
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  expect(opened).toEqual([]);
  await store.close();
  expect(await deleted(name)).toBe(true);
});

test("a database that was deleted while nothing was under way: nothing that the tab remembers of it counts", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  for (const n of [1, 2]) await store.appendToStream("A-1", [event(n)]);
  forceCloseDatabase(await connectionOf(store));
  expect(await deleted(name)).toBe(true);
  const other = await open(name);
  await other.appendToStream("B-1", [event(1)]);
  await other.appendToStream("B-1", [event(2)]);
  // The number of the outbox that this one is given is the next one after the tab's own last.
  expect(await store.appendToStream("A-1", [event(3)])).toMatchObject({ version: 1 });
  expect(await dataOf(store, "A-1")).toEqual([3]);
  await expect.poll(() => store.status.pending).toBe(3);
  await other.close();
  forceCloseDatabase(await connectionOf(store));
  expect(await deleted(name)).toBe(true);
  await expect(store.readStream("A-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await expect.poll(() => store.status.pending).toBe(0);
  await store.close();
});

test("an append that was committed, and reported as lost, is pushed at once", async () => {
  const a = await devices.open("A", { sync: { automatic: true, pollEvery: 60_000 } });
  await expect.poll(() => a.status.connection).toBe("live");
  await a.sync();
  dieOnce(lostAfterCommit);
  await a.appendToStream("A-1", [event(1)]);
  await expect.poll(async () => (await devices.atEdge.health()).head, { timeout: 5_000 }).toBe(1);
});

test("a database that was deleted under a session: what is appended then is pushed, whatever the session still waited for", async () => {
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const slow: typeof fetch = async (input, init) => {
    if (isHeld && init?.method !== "POST") await held.promise;
    return fetch(input, init);
  };
  const a = await devices.open("A", { sync: { automatic: true, fetch: slow, pollEvery: 60_000 } });
  await expect.poll(() => a.status.connection).toBe("live");
  isHeld = true;
  await a.appendToStream("A-1", [event(1)]);
  await expect.poll(() => a.status.acknowledged).toBe(1);
  const db = await connectionOf(a);
  forceCloseDatabase(db);
  expect(await deleted((db as unknown as IDBDatabase).name)).toBe(true);
  // Its number in the outbox is that of the one before.
  await a.appendToStream("B-1", [event(2)]);
  isHeld = false;
  held.resolve();
  // A session that goes on waiting for the one before gives up after five seconds.
  await expect.poll(async () => (await devices.atEdge.health()).head, { timeout: 4_000 }).toBe(2);
  await a.sync();
  for (const id of ["A-1", "B-1"]) await expectAgreement(id, devices.atEdge, a);
});

test("a connection that stays lost rejects with a typed error, and comes back when the browser lets it", async () => {
  const store = await open();
  await store.appendToStream("A-1", [event(1)]);
  const transaction = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(() => {
    throw new DOMException("The database connection is closing.", "InvalidStateError");
  });
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toBeInstanceOf(StorageFailedError);
  await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StorageFailedError);
  expect(transaction).toHaveBeenCalledTimes(4);
  transaction.mockRestore();
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  await store.close();
});

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
    String(init?.body).includes('"never"') ? Promise.resolve(new Response("", { status: 413 })) : fetch(input, init);
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
  expect(written()).toEqual({ lease: "relaxed", "events,parked,meta,lease": "relaxed", "events,parked,lease": "strict" });
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
  await expect(open(name)).rejects.toMatchObject({ code: "storage-failed", message: expect.stringContaining("older tab") });
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
