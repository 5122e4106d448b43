/**
 * As much of the library `idb` as this store uses, behind the library's own types: promises over IndexedDB, whose transactions stay
 * alive across `await`. The library also brings iterators and shortcuts, 800 bytes that no bundler can leave out.
 */
import type { DBSchema, IDBPDatabase } from "idb";

/** An IndexedDB: the browser's, or one that is handed in. */
export interface Platform {
  readonly indexedDB: IDBFactory;
  readonly IDBKeyRange: typeof IDBKeyRange;
}

export interface OpenHandlers {
  /** A new or older database is open for changes; `from` is its version, 0 for a new one. */
  readonly upgrade: (db: IDBDatabase, from: number) => void;
  /** An older connection does not let go. */
  readonly blocked: () => void;
  /** A newer version wants this connection to; null: whoever wants to delete the database. */
  readonly blocking: (db: IDBDatabase, version: number | null) => void;
  /** The browser has closed the connection. */
  readonly terminated: () => void;
}

export async function openDatabase<S extends DBSchema>(
  indexedDB: IDBFactory,
  ranges: typeof IDBKeyRange,
  name: string,
  version: number,
  handlers: OpenHandlers,
): Promise<IDBPDatabase<S>> {
  const request = indexedDB.open(name, version);
  request.addEventListener("upgradeneeded", ({ oldVersion }) => handlers.upgrade(request.result, oldVersion));
  request.addEventListener("blocked", handlers.blocked);
  const db = await outcome(request);
  db.addEventListener("versionchange", ({ newVersion }) => handlers.blocking(db, newVersion));
  db.addEventListener("close", handlers.terminated);
  return wrapper(ranges)(db) as IDBPDatabase<S>; // it has the library's interface, as far as it is used
}

/**
 * Has Chromium begin a new log for the site. One whose last record was cut by a crash is written on behind the half record, and the
 * start after that takes it for corrupt: it deletes all databases of the site, however durably they were written. Deleting a database
 * ends the log, so this makes one and deletes it.
 */
export async function renewLog(indexedDB: IDBFactory, name: string): Promise<void> {
  (await outcome(indexedDB.open(name))).close();
  await outcome(indexedDB.deleteDatabase(name));
}

/** A range of keys, made by the IndexedDB that is asked with it: no other takes it. Inclusive. */
export function between(lower: IDBValidKey, upper: IDBValidKey): IDBKeyRange {
  const make = (ranges: typeof IDBKeyRange) => ranges.bound(lower, upper);
  return make as unknown as IDBKeyRange; // which every call on a store or an index makes of it
}

/** Wraps what a database of these ranges answers. */
function wrapper(ranges: typeof IDBKeyRange): (value: unknown) => unknown {
  const traps: ProxyHandler<Record<PropertyKey, unknown>> = {
    get(target, key) {
      const value: unknown = target[key];
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        const answer: unknown = value.apply(
          target,
          given.map((one) => (typeof one === "function" ? one(ranges) : one)),
        );
        // A cursor goes on by the request that it came from.
        return wrap(answer ?? target["request"]);
      };
    },
  };

  function wrap(value: unknown): unknown {
    if (is<IDBRequest>(value, /Request/)) return handled(outcome(value).then(wrap));
    if (is<IDBTransaction>(value, /Transaction/)) Object.assign(value, { done: handled(outcome(value, "complete", "abort")) });
    return is<Record<PropertyKey, unknown>>(value, /IDB/) ? new Proxy(value, traps) : value;
  }
  return wrap;
}

/**
 * A request that fails, fails its transaction, and the other way round: a caller waits for one of them, and the other is no unhandled
 * rejection.
 */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** By its name, since an IndexedDB that is handed in brings classes of its own. */
function is<T>(value: unknown, kind: RegExp): value is T {
  return kind.test(Object(value)[Symbol.toStringTag]);
}

interface Ending<T> extends EventTarget {
  readonly result?: T;
  readonly error: DOMException | null;
}

/** Where a request of a transaction has failed, the transaction follows. A cursor's request succeeds once for each step. */
function outcome<T>(of: Ending<T>, good = "success", bad = "error"): Promise<T> {
  return new Promise((resolve, reject) => {
    of.addEventListener(good, () => resolve(of.result as T), { once: true }); // what a transaction comes to is nothing
    of.addEventListener(bad, () => reject(of.error ?? new DOMException("The transaction was aborted.", "AbortError")), { once: true });
  });
}
