/**
 * The device's database. One index leads to a stream's confirmed and pending events, so that a read and an append each need one request:
 *
 *     events       key: [page, n]   segments: the confirmed log
 *                  key: a number    groups: the outbox, in the order in which the commits were made
 *                  index `streams`: [streamId, last version] of each stream in a record; a stream's pending events come last
 *                  index `commits`: the number of commits of each group, by which pending commits are counted
 *     parked       key: seq         commits that wait for the app
 *     meta         key: name        `history`: the replica (which log, the cursor, the scope)
 *                                   `owner`: the address and the person that the database belongs to (`shared/device/owner.ts`)
 *                                   `identity`: the database's own id, and losses of databases before it (`shared/device/loss.ts`)
 *                                   `outbox`: which groups the last writes changed (`shared/device/outbox-changes.ts`)
 *     lease        key: name        `leader`: which tab syncs (`shared/device/leadership.ts`)
 *     snapshots    key: [decider, streamId]   folded states, of confirmed events alone
 *     checkpoints  key: name        the record of a named subscription
 *
 * Why records of many events: `docs/decisions/0003-storage-on-the-device.md`.
 */
import type { DBSchema, IDBPDatabase } from "idb";
import type { StoredCommand } from "../../shared/decider/command.ts";
import type { Lease } from "../../shared/device/leadership.ts";
import type { DatabaseIdentity } from "../../shared/device/loss.ts";
import type { ParkReason } from "../../shared/device/outbox.ts";
import type { OutboxChanges } from "../../shared/device/outbox-changes.ts";
import { NOBODY, type Owner } from "../../shared/device/owner.ts";
import type { Replica } from "../../shared/device/replica.ts";
import { firstCopyOf } from "../../shared/device/same-copy.ts";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import { HeadwaterError } from "../../shared/errors.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import { Connection, type ConnectionOptions, DELETED, OUTDATED } from "./connection.ts";
import type { Group } from "./groups.ts";
import { type Platform, renewLog } from "./idb.ts";
import type { Segment, SegmentKey } from "./segments.ts";
import { newIdentity, Tally } from "./tally.ts";

export interface ParkedRecord {
  seq: number;
  streamId: StreamId;
  expectedVersion: ExpectedVersion;
  reason: ParkReason;
  events: string;
  command?: StoredCommand | undefined;
}

export interface Schema extends DBSchema {
  events: { key: SegmentKey | number; value: Segment | Group; indexes: { streams: [string, number]; commits: number } };
  parked: { key: number; value: ParkedRecord };
  meta: {
    key: "history" | "owner" | "identity" | "outbox";
    value: Partial<Replica> & Partial<Owner> & Partial<DatabaseIdentity> & Partial<OutboxChanges>;
  };
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

/** 1 the first; 2 `lease`; 3 `snapshots` and `checkpoints`; 4 `backfills` and `deadLetters`, which were `fills` and `setAside`; 5 the index `commits`; 6 commands with an id and a version,
 * which an earlier version would send without: no tab of it goes on; 7 the text of a pending commit, which an earlier version can't read, and `outbox`, which it would not write. */
const DATABASE_VERSION = 7;
/** Of a database that is being deleted: it has no object stores any more, and whoever finds it finishes that (`erase.ts`). */
export const ERASED_VERSION = 2 ** 31;

export interface DatabaseListeners extends Pick<ConnectionOptions<Schema>, "onHeld"> {
  /** As `onReopened` of the connection. @param isAnew whether it is another database: the one before is gone */
  readonly onReopened: (isAnew: boolean) => void;
  /** A newer version of the app has upgraded the database, or somebody deletes the store. @param message of the errors from now on */
  readonly onEnded: (connection: "outdated" | "deleted", message: string) => void;
  /** Counts what the database holds once more, for the tally. */
  readonly countAgain?: () => Promise<void>;
}

export class Database {
  readonly #connection: Connection<Schema>;
  /** As this tab has read it last. A database that is created again belongs to the same. */
  owner: Owner = NOBODY;
  readonly tally: Tally;

  /**
   * @param begin the replica that a new database starts with, also one that is created again because it was deleted
   */
  constructor(
    name: string,
    platform: Platform,
    begin: Partial<Replica>,
    { onEnded, onReopened, onHeld, countAgain = async () => undefined }: DatabaseListeners,
  ) {
    const ownerNow = () => this.owner;
    const tally = new Tally(platform, name, () => this.owner.person, countAgain);
    this.tally = tally;
    let known: string | undefined;
    this.#connection = new Connection<Schema>({
      platform,
      name,
      version: DATABASE_VERSION,
      upgrade(db, from, tx) {
        if (from < 1) {
          db.createObjectStore("events", { keyPath: "key", autoIncrement: true }).createIndex("streams", "streams", { multiEntry: true });
          db.createObjectStore("parked", { keyPath: "seq" });
          const meta = db.createObjectStore("meta");
          const identity = newIdentity();
          meta.put({ ...begin, resets: firstCopyOf(identity.id) }, "history");
          meta.put(ownerNow(), "owner");
          meta.put(identity, "identity");
        }
        if (from < 2) db.createObjectStore("lease");
        if (from < 3) {
          db.createObjectStore("snapshots", { keyPath: ["decider", "streamId"] });
          db.createObjectStore("checkpoints");
        }
        // Groups of every version have the field `commits`: an array, whose length an index can be of.
        if (from < 5) tx.objectStore("events").createIndex("commits", "commits.length");
      },
      onReplaced: (version) => {
        if (version === null) return;
        const isDeleted = version === ERASED_VERSION;
        if (isDeleted) tally.end();
        const message = isDeleted ? DELETED : OUTDATED;
        void this.#connection.close(message);
        onEnded(isDeleted ? "deleted" : "outdated", message);
      },
      onOpened: async (db) => {
        await tally.identify(db);
        known ??= tally.database;
      },
      onReopened: () => {
        const before = known;
        known = tally.database;
        onReopened(known !== before);
      },
      ...(onHeld && { onHeld }),
      prepare: (indexedDB) => renewLog(indexedDB, `${name}~`),
    });
  }

  /** Does `work` on the open database, as `Connection.run` says: once more, with `isRepeated`, if the connection was dead. */
  run<T>(work: (db: IDBPDatabase<Schema>, isRepeated: boolean) => Promise<T>): Promise<T> {
    return this.#connection.run(work);
  }

  async close(): Promise<void> {
    this.tally.close();
    await this.#connection.close();
  }
}

/** For work that nobody waits for: a failure of the storage is ignored here, since the next caller that needs the storage gets it. */
export function unlessStorage(error: unknown): undefined {
  if (!(error instanceof HeadwaterError)) throw error;
  return undefined;
}
