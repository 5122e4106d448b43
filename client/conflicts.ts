/** Parked commits as the app sees them, and the two ways out. */
import type { IDBPDatabase } from "idb";
import { refusalError } from "../shared/append.ts";
import type { ErrorCode } from "../shared/errors.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, EventBody } from "../shared/event.ts";
import { type ExpectedVersion, exactVersion } from "../shared/expected-version.ts";
import { type ParkedEntry, rebaseParked } from "../shared/outbox.ts";
import type { Database, Schema } from "./database.ts";
import {
  addToOutbox,
  confirmedEvents,
  parkedEntries,
  type ReadTx,
  recordedEvents,
  toParkedEntry,
  versionOf,
  type WriteTx,
  whole,
} from "./device-log.ts";

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
    const entries = await parkedEntries(tx);
    const read = [...Map.groupBy(entries, ({ streamId }) => streamId)].map(async ([streamId, parked]) => {
      const base = Math.min(...parked.map(believedVersion));
      return [streamId, await confirmedEvents(tx, streamId, base + 1)] as const;
    });
    const arrived = new Map(await Promise.all(read));
    return entries.map(({ seq, streamId, events, expectedVersion, reason }): Conflict => {
      const end = async (isRebase: boolean) => {
        await database.run((open) => resolveParked(open, seq, isRebase));
        await onResolved();
      };
      return {
        streamId,
        events,
        expectedVersion,
        actualVersion: reason.actualVersion,
        code: reason.code,
        reason: reason.message,
        theirs: arrived.get(streamId)?.filter(({ id }) => events.every((own) => own.id !== id)) ?? [],
        rebase: () => end(true),
        discard: () => end(false),
      };
    });
  });
}

/** The version up to which the writer knew the stream when it made the commit. */
function believedVersion(entry: ParkedEntry): number {
  return exactVersion(entry.expectedVersion) ?? Number.POSITIVE_INFINITY;
}

/** @throws EventIdReusedError where the stream holds something else by the same ids */
async function resolveParked(db: IDBPDatabase<Schema>, seq: number, isRebase: boolean): Promise<void> {
  const tx: WriteTx = db.transaction(["parked", "events"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const store = tx.objectStore("parked");
    const record = await store.get(seq);
    if (record === undefined) throw new InvalidRequestError("It was resolved already.");
    const writes: Promise<unknown>[] = [store.delete(seq)];
    if (isRebase) writes.push(...(await putBehind(tx, toParkedEntry(record))));
    await Promise.all(writes);
  });
}

async function putBehind(tx: WriteTx, entry: ParkedEntry): Promise<Promise<unknown>[]> {
  const { streamId, events, seq } = entry;
  const recorded = await recordedEvents(tx, streamId, new Set(events.map(({ id }) => id)));
  const rebase = rebaseParked(entry, seq, { version: await versionOf(tx, streamId), recorded });
  if (rebase.kind === "refused") throw refusalError(rebase);
  return rebase.kind === "rebased" ? addToOutbox(tx, [rebase.entry]) : [];
}
