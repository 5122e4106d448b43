/**
 * Promises over IndexedDB, whose transactions stay alive across `await`: as much of the library `idb` as this store uses, behind the library's
 * own types.
 *
 * The library recognizes what it wraps by the global classes, so it serves the browser's own IndexedDB alone. This module goes by each
 * object's tag. It also serves an IndexedDB that is handed in (`openMemoryStore`), and that of another realm, e.g. of an iframe:
 * `docs/decisions/0022-promises-over-indexeddb.md`. `test/client/storage/idb.test.ts` compares the two case by case.
 */
import type { DBSchema, IDBPDatabase } from "idb";
import { assert } from "../../shared/assert.ts";

/** An IndexedDB: the browser's, or one that is handed in. */
export interface Platform {
  readonly indexedDB: IDBFactory;
  readonly IDBKeyRange: typeof IDBKeyRange;
  /** Keeps a count of what the database alone has, so that a loss of the database is noticed at the next start (`tally.ts`). */
  readonly localStorage?: Storage | null | undefined;
}

/** The frame whose IndexedDB stands in for the document's. */
let frame: HTMLIFrameElement | undefined;

/** The IndexedDB to use now: the one given, or the one that has taken its place. */
export function platformNow(given: Platform): Platform {
  const standIn = given === globalThis ? frame?.contentWindow : undefined;
  return (standIn as (Window & Platform) | null | undefined) ?? given; // a window has both
}

/**
 * WebKit ends the process that holds IndexedDB, e.g. if memory is short. From then on the document's own IndexedDB fails until the web page is
 * reloaded, and that of a new document works: https://bugs.webkit.org/show_bug.cgi?id=197050
 *
 * @param failed the one that was used: if another has taken its place by now, nothing happens
 */
export function replacePlatform(given: Platform, failed: Platform): void {
  const { document } = globalThis;
  if (given !== globalThis || document === undefined || platformNow(given) !== failed) return;
  frame?.remove();
  frame = document.createElement("iframe");
  frame.hidden = true;
  document.documentElement.appendChild(frame);
}

export interface OpenHandlers {
  /** A new or older database is open for changes. `from` is its version: 0 for a new one. `tx` is the transaction of the changes. */
  readonly upgrade: (db: IDBDatabase, from: number, tx: IDBTransaction) => void;
  /** An older connection stays open, so that this one has to wait. */
  readonly blocked: () => void;
  /** This connection, as long as it stays open, blocks an upgrade to `version`, or the deletion of the database: null. */
  readonly blocking: (db: IDBDatabase, version: number | null) => void;
  /** The browser has closed the connection. */
  readonly terminated: () => void;
}

export async function openDatabase<S extends DBSchema>(
  { indexedDB, IDBKeyRange }: Platform,
  name: string,
  version: number,
  handlers: OpenHandlers,
): Promise<IDBPDatabase<S>> {
  const request = indexedDB.open(name, version);
  request.addEventListener("upgradeneeded", ({ oldVersion }) => {
    assert(request.transaction !== null, "a database is upgraded in a transaction");
    handlers.upgrade(request.result, oldVersion, request.transaction);
  });
  request.addEventListener("blocked", handlers.blocked);
  const db = await resultOf(request);
  db.addEventListener("versionchange", ({ newVersion }) => handlers.blocking(db, newVersion));
  db.addEventListener("close", handlers.terminated);
  return wrapperOf(IDBKeyRange)(db) as IDBPDatabase<S>; // it has the library's interface, as far as that is used here
}

/**
 * Has Chromium begin a new log for the site. It appends to a log whose last record was cut by a crash, behind the half record. The start
 * after that takes the log for corrupt and deletes all databases of the site, however durably they were written. Deleting a database ends
 * the log, so this makes one and deletes it. A disk that is full for a moment cuts a record, too, and then the log is ended before anything
 * is appended behind it. Only Chromium tells of such a loss (`dataLoss`), and no other browser has such a log.
 */
export async function renewLog(indexedDB: IDBFactory, name: string): Promise<void> {
  if (!("dataLoss" in (globalThis.IDBVersionChangeEvent?.prototype ?? {}))) return;
  (await resultOf(indexedDB.open(name))).close();
  await resultOf(indexedDB.deleteDatabase(name));
}

/** The class of key ranges that each wrapped transaction takes. */
const keyRanges = new WeakMap<object, typeof IDBKeyRange>();

/** The keys from `lower` to `upper`, both included, for a query in this transaction: another IndexedDB would not take the range. */
export function between(tx: object, lower: IDBValidKey, upper: IDBValidKey): IDBKeyRange {
  const ranges = keyRanges.get(tx);
  assert(ranges !== undefined, "a range is for a transaction of a database that was opened here");
  return ranges.bound(lower, upper);
}

const WRAPPED = ["IDBDatabase", "IDBTransaction", "IDBObjectStore", "IDBIndex", "IDBCursor", "IDBCursorWithValue"];
/** Methods of a cursor that have the request which it came from succeed once more. */
const ADVANCES: readonly PropertyKey[] = ["advance", "continue", "continuePrimaryKey"];

type Members = Record<PropertyKey, unknown>;

/** Wraps whatever is reached from one database: requests become promises, and the other objects proxies. */
function wrapperOf(ranges: typeof IDBKeyRange): (value: unknown) => unknown {
  const proxies = new WeakMap<object, object>();
  /** By transaction. */
  const ends = new WeakMap<object, Promise<void>>();

  const traps: ProxyHandler<Members> = {
    get(target, key) {
      if (key === "done" && ends.has(target)) return ends.get(target);
      const member = target[key];
      if (typeof member !== "function") return wrap(member);
      return (...given: unknown[]) => {
        const result: unknown = member.apply(target, given);
        return wrap(ADVANCES.includes(key) ? target["request"] : result);
      };
    },
  };

  function wrap(value: unknown): unknown {
    if (isOfKind<IDBRequest>(value, "IDBRequest", "IDBOpenDBRequest")) return handled(resultOf(value).then(wrap));
    if (!isOfKind<Members>(value, ...WRAPPED)) return value;
    const known = proxies.get(value);
    if (known !== undefined) return known;
    const proxy = new Proxy(value, traps);
    proxies.set(value, proxy);
    if (isOfKind<IDBTransaction>(value, "IDBTransaction")) {
      keyRanges.set(proxy, ranges);
      ends.set(value, handled(endOf(value)));
      boundWait(value);
    }
    return proxy;
  }
  return wrap;
}

/** By its tag: each realm, and each IndexedDB that is handed in, has classes of its own. */
function isOfKind<T>(value: unknown, ...kinds: readonly string[]): value is T {
  return typeof value === "object" && value !== null && kinds.includes(Reflect.get(value, Symbol.toStringTag));
}

/** As it succeeds or fails next: a cursor's request succeeds once for each step. */
function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = ({ type }: Event) => {
      request.removeEventListener("success", settle);
      request.removeEventListener("error", settle);
      if (type === "success") resolve(request.result);
      else reject(reasonOf(request.transaction) ?? request.error);
    };
    request.addEventListener("success", settle);
    request.addEventListener("error", settle);
  });
}

/** Resolves when the transaction is complete, and rejects when it is aborted. */
function endOf(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.addEventListener("complete", () => resolve());
    const fail = () => reject(reasonOf(tx) ?? tx.error ?? new DOMException("The transaction was aborted.", "AbortError"));
    tx.addEventListener("abort", fail);
  });
}

/** The time that a transaction waits for others is counted in these steps, in milliseconds: a tab that was frozen counts one step. */
const STEP = 5_000;
const STEPS = 6;

/** Transactions that were given up, and why. */
const givenUp = new WeakMap<object, DOMException>();

function reasonOf(tx: IDBTransaction | null): DOMException | undefined {
  return tx === null ? undefined : givenUp.get(tx);
}

/**
 * A transaction begins when those before it have ended. A tab that is stopped in the middle of one holds up all tabs. So a transaction of which
 * no request was answered for half a minute is given up: nothing of it is stored, also when that tab goes on.
 */
function boundWait(tx: IDBTransaction): void {
  let left = STEPS;
  const waiting = setInterval(() => {
    if (--left > 0) return;
    givenUp.set(tx, new DOMException("Another tab holds the store. Close other tabs of this app, and try again.", HELD));
    tx.abort();
  }, STEP);
  const began = () => clearInterval(waiting);
  // Requests report to their transaction as well.
  for (const type of ["success", "error", "complete", "abort"]) tx.addEventListener(type, began, true);
}

/** The name of the error of a transaction that was given up. */
export const HELD = "TimeoutError";

/**
 * A request that fails, fails its transaction, and the other way round. A caller waits for one of the two, so that the other is no unhandled
 * rejection.
 */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
