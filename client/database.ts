/**
 * The device's database. What reading a stream and appending to it ask for stands behind one index, so that either asks once:
 *
 *     events   key: [page, n]     segments: the confirmed log
 *              key: a number      bundles: the outbox, in the order in which the commits were made
 *              index `streams`: [streamId, last version] of each stream in a record; pending events are a stream's last
 *     parked   key: seq           refused commits that wait for the app
 *     meta     key: name          `history`: which log this is, and how far it is applied
 *
 * Why records of many events: `docs/decisions/0003-storage-on-the-device.md`.
 */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { StorageFailedError, StoreClosedError, StoreFullError } from "../shared/errors.ts";
import type { ExpectedVersion } from "../shared/expected-version.ts";
import type { ParkReason } from "../shared/outbox.ts";
import type { StreamId } from "../shared/stream-id.ts";
import type { Bundle } from "./bundles.ts";
import type { Segment, SegmentKey } from "./segments.ts";

export interface ParkedRecord {
  seq: number;
  streamId: StreamId;
  expectedVersion: ExpectedVersion;
  reason: ParkReason;
  events: string;
}

/** Which history the confirmed events belong to. */
export interface History {
  /** `device`: this store was never synced and orders its events itself. */
  authority: "device" | "edge";
  /** The log's id; null before the first contact. */
  log: string | null;
  /** The position up to which the feed is applied. */
  position: number;
  /** The last position that the edge is known to have. */
  head: number;
}

export const NEW_HISTORY: History = { authority: "device", log: null, position: 0, head: 0 };

export interface Schema extends DBSchema {
  events: { key: SegmentKey | number; value: Segment | Bundle; indexes: { streams: [string, number] } };
  parked: { key: number; value: ParkedRecord };
  meta: { key: "history"; value: History };
}

export type StoreName = "events" | "parked" | "meta";

const DATABASE_VERSION = 1;

/** A connection that comes back by itself once, where the browser has closed it. */
export class Database {
  readonly #name: string;
  readonly #onOutdated: () => void;
  #connection: Promise<IDBPDatabase<Schema>> | undefined;
  #closed = false;

  constructor(name: string, onOutdated: () => void) {
    this.#name = name;
    this.#onOutdated = onOutdated;
  }

  /**
   * Does `work` on the open database. A connection that died, as browsers let happen under memory pressure or when the
   * person clears site data, is opened again and the work done once more; its transaction can't have been committed,
   * since it never began.
   *
   * @throws StoreFullError where the quota is exceeded, StorageFailedError for any other failure of IndexedDB
   */
  async run<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    try {
      const connection = this.#open();
      const db = await connection;
      try {
        return await work(db);
      } catch (error) {
        if (!isDeadConnection(error)) throw error;
        if (this.#connection === connection) this.#connection = undefined;
        db.close();
        return await work(await this.#open());
      }
    } catch (error) {
      throw storageError(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) (await connection).close();
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    if (this.#closed) throw new StoreClosedError();
    this.#connection ??= this.#connect().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  #connect(): Promise<IDBPDatabase<Schema>> {
    if (typeof indexedDB === "undefined") {
      throw new StorageFailedError("There is no IndexedDB here. On a server, use connectStore of headwater/http.");
    }
    return openDB<Schema>(this.#name, DATABASE_VERSION, {
      upgrade(db) {
        db.createObjectStore("events", { keyPath: "key", autoIncrement: true }).createIndex("streams", "streams", { multiEntry: true });
        db.createObjectStore("parked", { keyPath: "seq" });
        db.createObjectStore("meta");
      },
      blocking: (_current, _blocked, event) => {
        // A newer tab wants to upgrade: an old connection that stays open would block it for ever.
        this.#closed = true;
        (event.target as IDBDatabase).close();
        this.#onOutdated();
      },
      terminated: () => {
        this.#connection = undefined;
      },
    });
  }
}

function isDeadConnection(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

/** A failure of IndexedDB as a typed error; anything else as it is. */
function storageError(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new StoreFullError("The browser's storage for this site is full; nothing of the append was kept.", {}, { cause: error });
  }
  return new StorageFailedError(`IndexedDB failed: ${error.message}`, {}, { cause: error });
}
