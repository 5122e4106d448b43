/** Parked commits as the app sees them, and the two ways out. */
import type { IDBPDatabase } from "idb";
import type { ErrorCode } from "../shared/errors.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, EventBody } from "../shared/event.ts";
import { type ExpectedVersion, exactVersion } from "../shared/expected-version.ts";
import { type ParkedEntry, rebaseEntry } from "../shared/outbox.ts";
import type { Database, Schema } from "./database.ts";
import { addToOutbox, confirmedEvents, type ReadTx, toParkedEntry, versionOf, type WriteTx, whole } from "./device-log.ts";

/** A commit of this device that the edge refused. It stays until the app resolves it. */
export interface Conflict {
  readonly streamId: string;
  /** What this device wanted to append. */
  readonly events: readonly EventBody[];
  readonly expectedVersion: ExpectedVersion;
  /** The stream's version at the edge when the commit was refused; 0 where it was refused for another reason. */
  readonly actualVersion: number;
  /** `version-conflict`, or why else the edge will not have it. */
  readonly code: ErrorCode;
  /** The same as a sentence. */
  readonly reason: string;
  /** What the edge holds from where this device's belief ended. */
  readonly theirs: readonly ConfirmedEvent[];
  /** Puts the events behind everything the stream holds now, to be pushed by the next sync. */
  rebase(): Promise<void>;
  /** Lets go of the events for good. */
  discard(): Promise<void>;
}

/** All parked commits, oldest first. */
export async function readConflicts(database: Database, onResolved: () => Promise<unknown>): Promise<Conflict[]> {
  return database.run(async (db) => {
    const tx: ReadTx = db.transaction(["parked", "events"], "readonly");
    const entries = (await tx.objectStore("parked").getAll()).map(toParkedEntry);
    /** Up to where a stream was known when the first of its parked commits was made. */
    const bases = new Map<string, number>();
    for (const entry of entries)
      bases.set(entry.streamId, Math.min(believedVersion(entry), bases.get(entry.streamId) ?? Number.POSITIVE_INFINITY));
    const conflicts = entries.map(async (entry): Promise<Conflict> => {
      const own = new Set(entry.events.map((event) => event.id));
      const theirs = await confirmedEvents(tx, entry.streamId, (bases.get(entry.streamId) ?? 0) + 1);
      const resolve = async (work: (db: IDBPDatabase<Schema>) => Promise<void>) => {
        await database.run(work);
        await onResolved();
      };
      return {
        streamId: entry.streamId,
        events: entry.events,
        expectedVersion: entry.expectedVersion,
        actualVersion: entry.reason.actualVersion,
        code: entry.reason.code,
        reason: entry.reason.message,
        theirs: theirs.filter((event) => !own.has(event.id)),
        rebase: () => resolve((open) => rebaseParked(open, entry.seq)),
        discard: () => resolve((open) => discardParked(open, entry.seq)),
      };
    });
    return Promise.all(conflicts);
  });
}

/** The version up to which the writer knew the stream when it made the commit. */
function believedVersion(entry: ParkedEntry): number {
  return exactVersion(entry.expectedVersion) ?? Number.POSITIVE_INFINITY;
}

async function rebaseParked(db: IDBPDatabase<Schema>, seq: number): Promise<void> {
  const tx: WriteTx = db.transaction(["parked", "events"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const entry = await takeParked(tx, seq);
    const rebased = rebaseEntry(entry, seq, await versionOf(tx, entry.streamId));
    await Promise.all([tx.objectStore("parked").delete(seq), ...addToOutbox(tx, [rebased])]);
  });
}

async function discardParked(db: IDBPDatabase<Schema>, seq: number): Promise<void> {
  const tx: WriteTx = db.transaction(["parked", "events"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    await takeParked(tx, seq);
    await tx.objectStore("parked").delete(seq);
  });
}

async function takeParked(tx: WriteTx, seq: number): Promise<ParkedEntry> {
  const record = await tx.objectStore("parked").get(seq);
  if (record === undefined) {
    throw new InvalidRequestError("This conflict was resolved already.", { field: "conflict" });
  }
  return toParkedEntry(record);
}
