/** What the device holds, read and written within a transaction of the caller's. */
import type { IDBPTransaction } from "idb";
import type { ConfirmedEvent, EventBody, RecordingFields } from "../shared/event.ts";
import { toVersion, type Version } from "../shared/order.ts";
import { lastVersionOf, type ParkedEntry, type PendingEntry } from "../shared/outbox.ts";
import type { ParkedRecord, PendingRecord, Schema, StoreName } from "./database.ts";
import type { StreamEvent } from "./event-store.ts";
import { eventsOf } from "./segments.ts";

type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, StoreName[], M>;
export type ReadTx = Tx<"readonly"> | Tx<"readwrite">;
export type WriteTx = Tx<"readwrite">;

function versionsOf(streamId: string, from: number): IDBKeyRange {
  return IDBKeyRange.bound([streamId, from], [streamId, Number.POSITIVE_INFINITY]);
}

/** The stream's version as an append sees it: the last pending event's, else the last confirmed one's, else 0. */
export async function versionOf(tx: ReadTx, streamId: string): Promise<Version> {
  const range = versionsOf(streamId, 0);
  const [pending, confirmed] = await Promise.all([
    tx.objectStore("outbox").index("streams").openKeyCursor(range, "prev"),
    tx.objectStore("segments").index("streams").openKeyCursor(range, "prev"),
  ]);
  return toVersion((pending ?? confirmed)?.key[1] ?? 0);
}

/** Confirmed events of versions `from` … `to`, in order. */
export async function confirmedEvents(tx: ReadTx, streamId: string, from: number, to: number): Promise<ConfirmedEvent[]> {
  // A segment that holds the stream holds at least one of its events, so as many segments as events are enough.
  const most = Number.isFinite(to) ? to - from + 1 : undefined;
  const segments = await tx.objectStore("segments").index("streams").getAll(versionsOf(streamId, from), most);
  return segments
    .flatMap((segment) => eventsOf(segment, (id) => id === streamId))
    .filter((event) => event.version >= from && event.version <= to);
}

/** The stream's pending commits whose last version is `from` or later, in order. */
export async function pendingEntries(tx: ReadTx, streamId: string, from = 0): Promise<PendingEntry[]> {
  const records = await tx.objectStore("outbox").index("streams").getAll(versionsOf(streamId, from));
  return records.map(toPendingEntry);
}

/** Confirmed, then pending events of versions `from` … `to`. */
export async function streamEvents(tx: ReadTx, streamId: string, from: number, to: number): Promise<StreamEvent[]> {
  const [confirmed, entries] = await Promise.all([confirmedEvents(tx, streamId, from, to), pendingEntries(tx, streamId, from)]);
  const pending = entries.flatMap(pendingEvents).filter((event) => event.version >= from && event.version <= to);
  return [...confirmed.map((event) => ({ ...event, pending: false })), ...pending];
}

function pendingEvents(entry: PendingEntry): StreamEvent[] {
  const unconfirmed: RecordingFields = { position: null, recordedAt: null, actor: null };
  return entry.events.slice(entry.confirmed).map((body, i) => ({
    ...body,
    streamId: entry.streamId,
    version: toVersion(entry.firstVersion + entry.confirmed + i),
    ...unconfirmed,
    pending: true,
  }));
}

export function toPendingEntry(record: PendingRecord): PendingEntry {
  const { seq, streamId, expectedVersion, firstVersion, confirmed } = record;
  const events: EventBody[] = JSON.parse(record.events);
  return { state: "pending", seq: seq ?? 0, streamId, expectedVersion, events, firstVersion: toVersion(firstVersion), confirmed };
}

/** Without `seq`, which the database gives to a record that is added. */
export function toPendingRecord(entry: Omit<PendingEntry, "seq">): PendingRecord {
  const { streamId, expectedVersion, firstVersion, confirmed, events } = entry;
  return { streamId, expectedVersion, firstVersion, lastVersion: lastVersionOf(entry), confirmed, events: JSON.stringify(events) };
}

export function toParkedEntry(record: ParkedRecord): ParkedEntry {
  const events: EventBody[] = JSON.parse(record.events);
  return { ...record, state: "parked", events };
}

export function toParkedRecord(entry: ParkedEntry): ParkedRecord {
  const { seq, streamId, expectedVersion, reason, events } = entry;
  return { seq, streamId, expectedVersion, reason, events: JSON.stringify(events) };
}
