/**
 * A connection to one IndexedDB database. Browsers close connections by themselves, e.g. under memory pressure or when a person clears the
 * site's data. What failed because of that is done once more, on a new connection:
 *
 *     run(work) ──► open ──────► work ──► result
 *                    │ dead       │ dead
 *                    └─► open     └─► open ──► work, `isRepeated` ──► result
 *                    one more         (this open, too, is tried again)
 *
 * An open that the browser has aborted is tried up to `OPENS` times: a person who clears the site's data may meet more than one of them.
 *
 * What fails again is rejected with a typed error. Nothing is tried for ever, and nothing waits for ever for another tab.
 */
import type { DBSchema, IDBPDatabase } from "idb";
import { HeadwaterError, StorageFailedError, StoreClosedError, StoreFullError } from "../../shared/errors.ts";
import { pause } from "../tools/pause.ts";
import { HELD, openDatabase, type Platform, platformNow, replacePlatform } from "./idb.ts";

/**
 * The time that a tab waits for its open is counted in these steps, in milliseconds: a tab that was frozen counts one step, however long that
 * was.
 */
const STEP = 5_000;
/** Steps after which an open is given up. A slow disk may need some. A frozen tab of an older version does not even report that it blocks. */
const STEPS = 6;
/** Steps, the one under way included, if it is known that a tab of an older version blocks. */
const STEPS_BLOCKED = 2;

/** An open that is aborted is tried so often, with a pause from the second try on, in milliseconds. */
const OPENS = 6;
const PAUSE = 100;

/** The message of a tab whose database a newer version has upgraded. */
export const OUTDATED = "A newer version of this app upgraded the store; reload the page.";

/** The message of a tab whose database was deleted on purpose. */
export const DELETED = "The store was deleted on this device; open it again.";

export interface ConnectionOptions<S extends DBSchema> {
  readonly platform: Platform;
  readonly name: string;
  readonly version: number;
  /** A new or older database is open for changes in `tx`; `from` is its version, 0 for a new one. */
  readonly upgrade: (db: IDBDatabase, from: number, tx: IDBTransaction) => void;
  /** Another connection upgrades the database to this version, or deletes it: null. This one is closed already. */
  readonly onReplaced: (version: number | null) => void;
  /** Called if another tab holds the database up, and with null when it does so no more. */
  readonly onHeld?: (problem: HeadwaterError | null) => void;
  /** Called with each connection that was opened, before any work on it. If it fails, it is called with the next one. */
  readonly onOpened?: (db: IDBPDatabase<S>) => Promise<void>;
  /**
   * Called after the first work on a new connection in place of a dead one, and after work that was done once more: the database may hold
   * something else than was seen of it last.
   */
  readonly onReopened: () => void;
  /**
   * Called before each open, also of a connection in place of a dead one: what ended that may have cut a record of the browser's log. If it
   * fails, the open says why. If it takes longer than one step, the open does not wait for it.
   */
  readonly prepare?: (indexedDB: IDBFactory) => Promise<void>;
}

type Opened<S extends DBSchema> = Promise<IDBPDatabase<S>>;

type Work<S extends DBSchema, T> = (db: IDBPDatabase<S>, isRepeated: boolean) => Promise<T>;

export class Connection<S extends DBSchema> {
  readonly #options: ConnectionOptions<S>;
  #opened: Opened<S> | undefined;
  /** The last one that work was done on. */
  #used: Opened<S> | undefined;
  /** Under way. A frozen tab may hold it up for ever. */
  #preparing: Promise<void> | undefined;
  /** The disk was full when the last work failed. Until some work succeeds, a database that can't be opened is put down to that. */
  #isFull = false;
  #isHeld = false;
  /** Set once it is closed for good. */
  #closed: { readonly message: string | undefined } | undefined;

  constructor(options: ConnectionOptions<S>) {
    this.#options = options;
  }

  /**
   * Does `work` on the open database, and once more if the connection is dead. The first try may have been committed all the same: work
   * that is not the same when it is done twice checks `isRepeated`.
   *
   * @throws StoreFullError if the quota is exceeded, StoreClosedError after `close()`, StorageFailedError for any other failure of IndexedDB
   */
  async run<T>(work: Work<S, T>): Promise<T> {
    try {
      const opened = this.#open();
      const db = await opened;
      try {
        return await this.#runOn(opened, work, false);
      } catch (error) {
        if (!isDeadConnection(error)) throw error;
        this.#forget(opened);
        db.close();
        // A new connection would need room, too.
        if (isDiskFull(error)) throw error;
        return await this.#runOn(this.#open(), work, true);
      }
    } catch (error) {
      this.#isFull = isDiskFull(error) || (this.#isFull && isDeadConnection(error));
      const typed = storageError(error, this.#isFull);
      if (isDOMException(error) && error.name === HELD && typed instanceof HeadwaterError) this.#setHeld(typed);
      throw typed;
    }
  }

  async #runOn<T>(opened: Opened<S>, work: Work<S, T>, isRepeated: boolean): Promise<T> {
    const db = await opened;
    let failure: unknown;
    try {
      return await work(db, isRepeated);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      // What the app has no use for is an answer of the database, too.
      if (!isDOMException(failure)) {
        this.#isFull = false;
        if (this.#isHeld) this.#setHeld(null);
        this.#onAnswered(opened, isRepeated);
      }
    }
  }

  #setHeld(problem: HeadwaterError | null): void {
    this.#isHeld = problem !== null;
    this.#options.onHeld?.(problem);
  }

  #onAnswered(opened: Opened<S>, isRepeated: boolean): void {
    const isReopened = this.#used !== undefined && this.#used !== opened;
    if (this.#opened === opened) this.#used = opened;
    if (isRepeated || isReopened) this.#options.onReopened();
  }

  /** For good. @param message of the error that `run` throws from now on */
  async close(message?: string): Promise<void> {
    this.#closed ??= { message };
    const opened = this.#opened;
    this.#opened = undefined;
    // If it could not be opened, the caller that needed it has the error.
    await opened?.then(
      (db) => db.close(),
      () => undefined,
    );
  }

  #open(): Opened<S> {
    if (this.#closed !== undefined) throw new StoreClosedError(this.#closed.message);
    if (this.#opened !== undefined) return this.#opened;
    const forget = () => this.#forget(opened);
    const opened: Opened<S> = this.#connectAgain(forget).catch((error: unknown) => {
      forget();
      throw error;
    });
    this.#opened = opened;
    return opened;
  }

  /** What an old connection reports late does not concern the one that took its place. */
  #forget(opened: Opened<S>): void {
    if (this.#opened === opened) this.#opened = undefined;
  }

  async #connectAgain(forget: () => void): Opened<S> {
    const { platform } = this.#options;
    for (let tries = 1; ; tries++) {
      const used = platformNow(platform);
      try {
        return await this.#connectReady(forget);
      } catch (error) {
        if (this.#closed !== undefined || !isDeadConnection(error) || tries >= (isAborted(error) ? OPENS : 2)) throw error;
        if (isServerLost(error)) replacePlatform(platform, used);
      }
      if (tries > 1) await pause(PAUSE * tries, undefined);
    }
  }

  async #connectReady(forget: () => void): Opened<S> {
    const db = await this.#connect(forget);
    try {
      await this.#options.onOpened?.(db);
    } catch (error) {
      // For any other reason, e.g. because the disk is full, the work on it may succeed all the same.
      if (isDeadConnection(error)) {
        db.close();
        throw error;
      }
    }
    return db;
  }

  async #connect(forget: () => void): Opened<S> {
    const { name, version, upgrade, onReplaced, prepare } = this.#options;
    const platform = platformNow(this.#options.platform);
    const { indexedDB } = platform;
    if (indexedDB === undefined) throw new StorageFailedError("No IndexedDB here: use headwater/http.");
    // One that is held up was waited for once.
    if (prepare !== undefined && this.#preparing === undefined) {
      const done = () => {
        this.#preparing = undefined;
      };
      this.#preparing = prepare(indexedDB).then(done, done);
      await unlessLong(this.#preparing);
    }
    return new Promise((resolve, reject) => {
      let left = STEPS;
      const waiting = setInterval(() => {
        if (--left > 0) return;
        clearInterval(waiting);
        reject(new StorageFailedError("An older tab of this app may hold the store. Close other tabs."));
      }, STEP);
      const opening = openDatabase<S>(platform, name, version, {
        upgrade,
        blocked() {
          // A tab of an older version is asked to close its connection, and mostly does at once.
          left = Math.min(left, STEPS_BLOCKED);
        },
        blocking: (db, replacement) => {
          // An old connection that stays open would block the upgrade, or the deletion, for ever.
          db.close();
          forget();
          onReplaced(replacement);
        },
        terminated: forget,
      });
      // Nobody would close one that opens after all.
      opening.then((db) => (left > 0 ? resolve(db) : db.close()), reject).finally(() => clearInterval(waiting));
    });
  }
}

/** Resolves when `work` has ended, or after one step. */
async function unlessLong(work: Promise<void>): Promise<void> {
  const ended = new AbortController();
  await Promise.race([work, pause(STEP, ended.signal)]);
  ended.abort();
}

/**
 * The failures which say that the connection is dead, and nothing about the work. When Chromium deletes a site's data, it
 *
 * - aborts the transactions under way with UnknownError ("Force close delete origin"), and their requests with AbortError;
 * - aborts the requests of a transaction that is begun then, which gets neither `complete` nor `abort`;
 * - aborts the next `open` ("The connection was closed.");
 * - throws InvalidStateError from then on when a transaction is begun.
 *
 * Safari's "Connection to Indexed Database server lost" is an UnknownError: https://bugs.webkit.org/show_bug.cgi?id=197050. Nothing here
 * aborts a transaction before its work has failed for another reason, so every AbortError is the browser's.
 */
const DEAD: readonly string[] = ["AbortError", "InvalidStateError", "UnknownError"];

function isDeadConnection(error: unknown): error is DOMException {
  return isDOMException(error) && DEAD.includes(error.name);
}

/** The browser closed it. Of an open it says nothing about the database: a disk that can't be read is an UnknownError. */
function isAborted({ name }: DOMException): boolean {
  return name === "AbortError";
}

/** "Connection to Indexed Database server lost. Refresh the page to try again": see `replacePlatform`. */
function isServerLost(error: DOMException): boolean {
  return error.message.includes("server lost");
}

/**
 * What a browser says if the disk is full, where it does not say QuotaExceededError: Chromium on LevelDB ends the connection with UnknownError
 * ("Connection is closing because of: IO error: … FILE_ERROR_NO_SPACE").
 */
const DISK_FULL = /no.space|disk.*full/i;

function isDiskFull(error: unknown): boolean {
  return isDOMException(error) && (error.name === "QuotaExceededError" || DISK_FULL.test(error.message));
}

/** A failure of IndexedDB as a typed error; anything else as it is. */
function storageError(error: unknown, isFull: boolean): unknown {
  if (!isDOMException(error)) return error;
  if (isFull) return new StoreFullError("The browser has no room left; nothing was written.", {}, { cause: error });
  return new StorageFailedError(error.name === "VersionError" ? OUTDATED : error.message, {}, { cause: error });
}

/**
 * By the tag of its prototypes: an error of another realm, e.g. an iframe's, is no instance of this realm's DOMException, and one that says
 * that the quota is exceeded has a class of its own: https://webidl.spec.whatwg.org/#quotaexceedederror
 */
function isDOMException(error: unknown): error is DOMException {
  for (let prototype: unknown = error; typeof prototype === "object" && prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    if (Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag)?.value === "DOMException") return true;
  }
  return false;
}
