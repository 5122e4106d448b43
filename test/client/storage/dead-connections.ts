/** Connections that the browser closes under the store: how their transactions and opens end then. */
import type { forceCloseDatabase } from "fake-indexeddb";
import { openDB } from "idb";
import { vi } from "vitest";
import type { Store } from "../../../client/index.ts";

/** How a transaction ends when the browser closes its connection. */
export type Death = (tx: IDBTransaction) => void;

/** Chromium while it deletes the site's data: the transaction fails with UnknownError, its requests with AbortError. */
export const aborted: Death = (tx) => queueMicrotask(() => abort(tx));

/** As Safari reports a storage process that went away: what was committed stays so, and the page is told otherwise. */
export const lostAfterCommit: Death = (tx) => reportAsAborted(tx, "Connection to Indexed Database server lost.");

export const DEATHS: readonly (readonly [string, Death])[] = [
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
export function abortedAfter(turns: number): Death {
  return (tx) => void (turns > 0 ? setImmediate(abortedAfter(turns - 1), tx) : abort(tx));
}

/** As the browser does. */
export function abort(tx: IDBTransaction & Partial<FakeTransaction>): void {
  if (tx._state !== "finished") tx._abort?.("UnknownError");
}

interface FakeTransaction {
  readonly _state: string;
  _abort(name: string): void;
}

export function reportAsAborted(tx: IDBTransaction, why?: string): void {
  tx.addEventListener("complete", (complete) => {
    complete.stopImmediatePropagation();
    if (why !== undefined) Object.defineProperty(tx, "error", { value: new DOMException(why, "UnknownError") });
    const fresh = { type: "abort", dispatched: false, propagationStopped: false, immediatePropagationStopped: false, eventPath: [] };
    const abort: Event = Object.assign(Object.create(Object.getPrototypeOf(complete)), complete, fresh);
    setTimeout(() => tx.dispatchEvent(abort));
  });
}

/** The next transaction that writes ends so. */
export function dieOnce(death: Death): void {
  dieAfter(death, 0, (mode) => mode === "readwrite");
}

/** A transaction ends so, after as many others of its kind. @returns how many there were by now */
export function dieAfter(
  death: Death,
  count: number,
  isOfKind: (mode: IDBTransactionMode, stores: DOMStringList) => boolean,
): () => number {
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
export function abortOpens(name: string, times: number): string[] {
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

/**
 * Has the opens of a database wait without any event, as behind a tab of an older version that is frozen: it never closes its connection,
 * and without its answer the browser does not report that it blocks.
 *
 * `goOn` lets them go on, and resolves when they are open.
 */
export function holdOpens(name: string): { isHolding(): boolean; goOn(): Promise<void> } {
  const open = indexedDB.open.bind(indexedDB);
  const held: (() => Promise<void>)[] = [];
  const spy = vi.spyOn(indexedDB, "open").mockImplementation((database, version) => {
    if (database !== name) return open(database, version);
    const request = Object.assign(new EventTarget(), { result: undefined as IDBDatabase | undefined });
    const goOn = () =>
      new Promise<void>((resolve) => {
        const real = open(database, version);
        real.addEventListener("success", () => {
          request.result = real.result;
          request.dispatchEvent(new Event("success"));
          resolve();
        });
      });
    held.push(goOn);
    return request as unknown as IDBOpenDBRequest; // as much of one as is used until it is open
  });
  return {
    isHolding: () => held.length > 0,
    goOn: async () => {
      spy.mockRestore();
      for (const goOn of held) await goOn();
    },
  };
}

/** The connection that a store has now. */
export async function connectionOf(store: Store): Promise<Parameters<typeof forceCloseDatabase>[0]> {
  const spy = vi.spyOn(IDBDatabase.prototype, "transaction");
  await store.readStream("A-1");
  const [db] = spy.mock.contexts;
  spy.mockRestore();
  return db as Parameters<typeof forceCloseDatabase>[0];
}

/** The id that a device's database has got when it was made. */
export async function idOfDatabase(name: string): Promise<string> {
  const db = await openDB(name);
  const { id } = await db.get("meta", "identity");
  db.close();
  return id;
}

/** Deletes a database. Returns false if somebody still has it open. */
export function deleted(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onblocked = () => resolve(false);
    request.onsuccess = () => resolve(true);
  });
}
