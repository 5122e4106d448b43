/**
 * The device's database. What reading a stream and appending to it ask for stands behind one index, so that either asks once:
 *
 *     events   key: [page, n]     segments: the confirmed log
 *              key: a number      bundles: the outbox, in the order in which the commits were made
 *              index `streams`: [streamId, last version] of each stream in a record; pending events are a stream's last
 *     parked   key: seq           refused commits that wait for the app
 *     meta     key: name          `history`: which log this is, and how far it is applied
 *     lease    key: name          `leader`: which tab syncs (`shared/device/leadership.ts`)
 *     snapshots    key: [decider, streamId]   states that were folded once, of confirmed events alone
 *     checkpoints  key: name                  how far a subscription has handled the feed
 *
 * Why records of many events: `docs/decisions/0003-storage-on-the-device.md`.
 */
import type { DBSchema, IDBPDatabase } from "idb";
import type { PendingCommand } from "../../shared/device/decider.ts";
import type { Lease } from "../../shared/device/leadership.ts";
import type { ParkReason } from "../../shared/device/outbox.ts";
import type { Replica } from "../../shared/device/replica.ts";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import { HeadwaterError, StorageFailedError, StoreClosedError, StoreFullError } from "../../shared/errors.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { Group } from "./groups.ts";
import { openDatabase, type Platform, renewLog } from "./idb.ts";
import type { Segment, SegmentKey } from "./segments.ts";

export interface ParkedRecord {
  seq: number;
  streamId: StreamId;
  expectedVersion: ExpectedVersion;
  reason: ParkReason;
  events: string;
  command?: PendingCommand | undefined;
}

export interface Schema extends DBSchema {
  events: { key: SegmentKey | number; value: Segment | Group; indexes: { streams: [string, number] } };
  parked: { key: number; value: ParkedRecord };
  meta: { key: "history"; value: Replica };
  lease: { key: "leader"; value: Lease };
  snapshots: { key: [string, string]; value: Snapshot };
  checkpoints: { key: string; value: DeviceSubscription };
}

/** A stream's state as a decider folded it. It may be deleted at any time: it is folded again. */
export interface Snapshot {
  decider: string;
  streamId: string;
  /** The decider's. */
  deciderVersion: number;
  /** The stream's, up to which it is folded: all of it is confirmed. */
  version: number;
  state: unknown;
}

export type StoreName = "events" | "parked" | "meta" | "lease" | "snapshots" | "checkpoints";

/** 1 the first; 2 `lease`; 3 `snapshots` and `checkpoints`; 4 `backfills` and `deadLetters`, which were `fills` and `setAside`. */
const DATABASE_VERSION = 4;
/** How long an older tab may hold up an upgrade, in milliseconds. */
const BLOCKED_WAIT = 5_000;

/** What a tab is told whose database a newer version has upgraded. */
export const OUTDATED = "A newer version of this app has upgraded the store; reload the page.";

/** A connection that comes back by itself once, where the browser has closed it. */
export class Database {
  readonly #name: string;
  readonly #platform: Platform;
  readonly #begin: Partial<Replica>;
  readonly #onOutdated: () => void;
  #connection: Promise<IDBPDatabase<Schema>> | undefined;
  #renewal: Promise<void> | undefined;
  #closed: "no" | "closed" | "outdated" = "no";

  /**
   * @param begin what a new database holds of its history, one that is made anew since somebody has deleted the one before as well
   * @param onOutdated told when a newer version of the app has taken the database over
   */
  constructor(name: string, platform: Platform, begin: Partial<Replica>, onOutdated: () => void) {
    this.#name = name;
    this.#platform = platform;
    this.#begin = begin;
    this.#onOutdated = onOutdated;
  }

  /**
   * Does `work` on the open database. A connection that was lost, as browsers let happen under memory pressure or when the
   * person clears site data, is opened again and the work done once more. Whether the first try was committed can't always be told:
   * work that is not the same when it is done twice looks at `isRepeated`.
   *
   * @throws StoreFullError where the quota is exceeded, StorageFailedError for any other failure of IndexedDB
   */
  async run<T>(work: (db: IDBPDatabase<Schema>, isRepeated: boolean) => Promise<T>): Promise<T> {
    try {
      const connection = this.#open();
      const db = await connection;
      try {
        return await work(db, false);
      } catch (error) {
        if (!isLostConnection(error)) throw error;
        if (this.#connection === connection) this.#connection = undefined;
        db.close();
        return await work(await this.#open(), true);
      }
    } catch (error) {
      throw storageError(error);
    }
  }

  async close(): Promise<void> {
    if (this.#closed === "no") this.#closed = "closed";
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) (await connection).close();
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    if (this.#closed === "outdated") throw new StoreClosedError(OUTDATED);
    if (this.#closed === "closed") throw new StoreClosedError();
    this.#connection ??= this.#connect().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #connect(): Promise<IDBPDatabase<Schema>> {
    const { indexedDB, IDBKeyRange } = this.#platform;
    if (indexedDB === undefined) throw new StorageFailedError("There is no IndexedDB here: use headwater/http.");
    // Before the first write. Where even that fails, opening says why.
    this.#renewal ??= renewLog(indexedDB, `${this.#name}~`).catch(() => undefined);
    await this.#renewal;
    return new Promise((resolve, reject) => {
      let waiting: ReturnType<typeof setTimeout> | undefined;
      const opening = openDatabase<Schema>(indexedDB, IDBKeyRange, this.#name, DATABASE_VERSION, {
        upgrade: (db, from) => {
          if (from < 1) {
            db.createObjectStore("events", { keyPath: "key", autoIncrement: true }).createIndex("streams", "streams", { multiEntry: true });
            db.createObjectStore("parked", { keyPath: "seq" });
            db.createObjectStore("meta").put(this.#begin, "history");
          }
          if (from < 2) db.createObjectStore("lease");
          if (from < 3) {
            db.createObjectStore("snapshots", { keyPath: ["decider", "streamId"] });
            db.createObjectStore("checkpoints");
          }
        },
        blocked() {
          // A tab of an older version is asked to let go, and mostly does at once.
          const error = new StorageFailedError("An older tab of this app holds the store.");
          waiting = setTimeout(reject, BLOCKED_WAIT, error);
        },
        blocking: (db, version) => {
          // An old connection that stays open would block whoever upgrades, or deletes, for ever.
          db.close();
          this.#connection = undefined;
          if (version === null) return;
          this.#closed = "outdated";
          this.#onOutdated();
        },
        terminated: () => {
          this.#connection = undefined;
        },
      });
      opening.then(resolve, reject).finally(() => clearTimeout(waiting));
    });
  }
}

/** Storage that fails now is tried again later; nobody waits for it here, and whoever needs it is told. */
export function unlessStorage(error: unknown): undefined {
  if (!(error instanceof HeadwaterError)) throw error;
  return undefined;
}

function isLostConnection(error: unknown): boolean {
  // Safari's "Connection to Indexed Database server lost" is an UnknownError: https://bugs.webkit.org/show_bug.cgi?id=197050
  return error instanceof DOMException && (error.name === "InvalidStateError" || error.name === "UnknownError");
}

/** A failure of IndexedDB as a typed error; anything else as it is. */
function storageError(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  switch (error.name) {
    case "QuotaExceededError":
      return new StoreFullError("The browser has no room left; nothing was written.", {}, { cause: error });
    case "VersionError":
      return new StorageFailedError(OUTDATED, {}, { cause: error });
    default:
      return new StorageFailedError(error.message, {}, { cause: error });
  }
}
