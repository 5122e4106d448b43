/**
 * As much of the library `idb` as this store uses, behind the library's own types: promises over IndexedDB, whose transactions stay
 * alive across `await`. The library also brings iterators and shortcuts, 800 bytes that no bundler can leave out.
 */
import type { DBSchema, IDBPDatabase } from "idb";

export interface OpenHandlers {
  /** A new or older database is open for changes; `from` is its version, 0 for a new one. */
  readonly upgrade: (db: IDBDatabase, from: number) => void;
  /** An older connection does not let go. */
  readonly blocked: () => void;
  /** A newer version wants this connection to. */
  readonly blocking: (db: IDBDatabase) => void;
  /** The browser has closed the connection. */
  readonly terminated: () => void;
}

export async function openDatabase<S extends DBSchema>(name: string, version: number, handlers: OpenHandlers): Promise<IDBPDatabase<S>> {
  const request = indexedDB.open(name, version);
  request.addEventListener("upgradeneeded", ({ oldVersion }) => handlers.upgrade(request.result, oldVersion));
  request.addEventListener("blocked", handlers.blocked);
  const db = await outcome(request);
  request.result.addEventListener("versionchange", () => handlers.blocking(request.result));
  request.result.addEventListener("close", handlers.terminated);
  return db as IDBPDatabase<S>; // what a request's result is wrapped in has the library's interface, as far as it is used
}

/**
 * Has Chromium begin a new log for the site. One whose last record was cut by a crash is written on behind the half record, and the
 * start after that takes it for corrupt: it deletes all databases of the site, however durably they were written. Deleting a database
 * ends the log, so this makes one and deletes it.
 */
export async function renewLog(name: string): Promise<void> {
  const scratch = indexedDB.open(name);
  await outcome(scratch);
  scratch.result.close();
  await outcome(indexedDB.deleteDatabase(name));
}

/** Of transactions, from when they were begun. */
const ends = new WeakMap<object, Promise<void>>();

function wrap(value: unknown): unknown {
  if (value instanceof IDBRequest) return outcome(value);
  if (value instanceof IDBTransaction) ends.set(value, end(value));
  return [IDBDatabase, IDBTransaction, IDBObjectStore, IDBIndex, IDBCursor].some((kind) => value instanceof kind)
    ? new Proxy(value as object, traps)
    : value;
}

const traps: ProxyHandler<object> = {
  get(target, key) {
    if (key === "done") return ends.get(target);
    const value: unknown = Reflect.get(target, key);
    if (typeof value !== "function") return value;
    return (...given: unknown[]) => {
      const answer: unknown = value.apply(target, given);
      // A cursor goes on by the request that it came from.
      return target instanceof IDBCursor ? outcome(target.request) : wrap(answer);
    };
  },
};

function outcome(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(wrap(request.result)), { once: true });
    request.addEventListener("error", () => reject(request.error), { once: true });
  });
}

function end(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.addEventListener("complete", () => resolve());
    // Where a request has failed, this follows.
    tx.addEventListener("abort", () => reject(tx.error ?? new DOMException("The transaction was aborted.", "AbortError")));
  });
}
