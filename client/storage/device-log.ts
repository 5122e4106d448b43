/** Reads and writes the device's events, replica and lease, within the caller's transaction. */
import type { IDBPDatabase, IDBPTransaction } from "idb";
import { assert } from "../../shared/assert.ts";
import { commandIdOf, toPendingCommand } from "../../shared/decider/command.ts";
import { type Lease, NO_LEASE } from "../../shared/device/leadership.ts";
import { type DatabaseIdentity, MOST_STREAMS } from "../../shared/device/loss.ts";
import type { NewEntry, OutboxEntry, ParkedEntry, PendingEntry } from "../../shared/device/outbox.ts";
import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import type { ConfirmedEvent, EventBody, RecordingFields } from "../../shared/event/event.ts";
import { toVersion, type Version } from "../../shared/order.ts";
import type { StreamEvent } from "../event-store.ts";
import type { ParkedRecord, Schema, StoreName } from "./database.ts";
import { entriesOf, GROUP_COMMITS, type Group, madeAt, type StoredGroup, toGroups } from "./groups.ts";
import { between } from "./idb.ts";
import { eventsOf, type Segment, type SegmentKey } from "./segments.ts";

type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, StoreName[], M>;
export type ReadTx = Tx<"readonly"> | Tx<"readwrite">;
export type WriteTx = Tx<"readwrite">;

/**
 * Runs `work` in a transaction, and waits until the transaction completes. If `work` throws, the transaction is aborted, so that none of its
 * writes is stored.
 *
 * @throws what `work` throws; if the browser has aborted the transaction, why: its requests do not say so, e.g. when the disk is full
 */
export async function whole<T>(tx: Pick<WriteTx, "done" | "abort" | "error">, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    await tx.done;
    return result;
  } catch (error) {
    // Read before it is aborted here, which gives no reason.
    const why = tx.error ?? error;
    try {
      tx.abort();
    } catch {
      // The transaction has ended already.
    }
    throw why;
  }
}

export const LAST_NUMBER = Number.POSITIVE_INFINITY;
/** Sorts after all keys. */
const END = [LAST_NUMBER, LAST_NUMBER];

/** The device's replica. Fields that an older version of this code did not store get their defaults. */
export async function replicaOf(tx: ReadTx): Promise<Replica> {
  // Databases before version 4 called its backfills `fills`.
  const { fills, ...stored }: Partial<Replica> & { fills?: Replica["backfills"] } = (await tx.objectStore("meta").get("history")) ?? {};
  return { ...NEW_REPLICA, ...(fills !== undefined && { backfills: fills }), ...stored };
}

/** The database's identity; undefined in a database of an earlier version that was not opened since. */
export async function identityOf(tx: ReadTx): Promise<DatabaseIdentity | undefined> {
  const { id, losses = [] } = (await tx.objectStore("meta").get("identity")) ?? {};
  return id === undefined ? undefined : { id, losses };
}

export async function readReplica(db: IDBPDatabase<Schema>): Promise<Replica> {
  return replicaOf(db.transaction(["meta"], "readonly"));
}

/** Keys `[first, n]` with `n >= from`: index keys of a stream and its versions, or keys of a page and its segments. */
export function numbersOf(tx: ReadTx, first: string | number, from: number): IDBKeyRange {
  return between(tx, [first, from], [first, LAST_NUMBER]);
}

/** Keys of the outbox from this group on. IndexedDB sorts numbers before arrays. */
export function outboxFrom(tx: ReadTx, key: number): IDBKeyRange {
  return between(tx, key, LAST_NUMBER);
}

/** Keys of the confirmed log, from the first page that holds an event after this position. */
export function pagesAfter(tx: ReadTx, position: number): IDBKeyRange {
  return between(tx, [position + 1, 0], END);
}

/** The first key of all events, confirmed or pending; undefined if the device holds no event. */
export function firstKey(tx: ReadTx): Promise<SegmentKey | number | undefined> {
  return tx.objectStore("events").getKey(between(tx, Number.NEGATIVE_INFINITY, END));
}

export function isGroup(record: Segment | Group): record is StoredGroup {
  return typeof record.key === "number";
}

export function isSegment(record: Segment | Group): record is Segment {
  return Array.isArray(record.key);
}

/** The index over both kinds of records: segments and groups. */
export function byStream(tx: ReadTx) {
  return tx.objectStore("events").index("streams");
}

/** The stream's version as an append sees it: that of the last pending event, else of the last confirmed event, else 0. */
export async function versionOf(tx: ReadTx, streamId: string): Promise<Version> {
  const last = await byStream(tx).openKeyCursor(numbersOf(tx, streamId, 0), "prev");
  return toVersion(last?.key[1] ?? 0);
}

/** The version of the stream's last confirmed event; 0 if there is none. */
export async function confirmedVersionOf(tx: ReadTx, streamId: string): Promise<Version> {
  let cursor = await byStream(tx).openKeyCursor(numbersOf(tx, streamId, 0), "prev");
  while (cursor !== null && typeof cursor.primaryKey === "number") cursor = await cursor.continue();
  return toVersion(cursor?.key[1] ?? 0);
}

/** The stream's events of versions `from` … `to`, inclusive: confirmed events, then pending ones. */
export async function streamEvents(tx: ReadTx, streamId: string, from: number, to: number): Promise<StreamEvent[]> {
  // Each record of the stream holds at least one of its events, so reading as many records as events is enough.
  const most = Number.isFinite(to) ? to - from + 1 : undefined;
  const records = await byStream(tx).getAll(numbersOf(tx, streamId, from), most);
  const isOurs = (id: string) => id === streamId;
  const events = records.flatMap((record): StreamEvent[] =>
    isGroup(record)
      ? entriesOf(record, isOurs).flatMap(pendingEvents)
      : isSegment(record)
        ? eventsOf(record, isOurs).map((event) => ({ ...event, pending: false }))
        : [],
  );
  return events.filter(({ version }) => version >= from && version <= to);
}

/** The stream's events that have one of these ids, by id. */
export async function recordedEvents(tx: ReadTx, streamId: string, ids: ReadonlySet<string>): Promise<Map<string, StreamEvent>> {
  const events = await streamEvents(tx, streamId, 1, Number.POSITIVE_INFINITY);
  return new Map(events.filter(({ id }) => ids.has(id)).map((event) => [event.id, event]));
}

/** The ids of those commands of a stream's entries for which confirmed events were recorded. */
export async function recordedCommands(tx: ReadTx, entries: readonly Pick<OutboxEntry, "streamId" | "command">[]): Promise<Set<string>> {
  const [streamId, ids] = [entries[0]?.streamId, new Set(entries.flatMap(({ command }) => (command === undefined ? [] : [command.id])))];
  if (streamId === undefined || ids.size === 0) return new Set();
  const recorded = (await confirmedEvents(tx, streamId, 1)).map((event) => commandIdOf(event) ?? "");
  return new Set(recorded.filter((id) => ids.has(id)));
}

/** The stream's confirmed events from version `from`, inclusive. */
export async function confirmedEvents(tx: ReadTx, streamId: string, from: number): Promise<ConfirmedEvent[]> {
  const events = await streamEvents(tx, streamId, from, Number.POSITIVE_INFINITY);
  return events.filter((event): event is StreamEvent & ConfirmedEvent => !event.pending);
}

/** Segments that one request reads, before the rest of their last page. */
const SEGMENTS_AT_ONCE = 32;

/** Some whole pages of the confirmed log, from the first page that holds an event after this position. */
export async function pagesFrom(tx: ReadTx, position: number): Promise<Segment[]> {
  const events = tx.objectStore("events");
  const records = await events.getAll(pagesAfter(tx, position), SEGMENTS_AT_ONCE);
  const last = records.at(-1);
  if (records.length === SEGMENTS_AT_ONCE && last !== undefined && isSegment(last)) {
    const [page, n] = last.key;
    records.push(...(await events.getAll(numbersOf(tx, page, n + 1))));
  }
  return records.filter(isSegment);
}

/** Groups that one request reads, unless more are known to be small. */
export const GROUPS_AT_ONCE = 32;

/** What the status and the count of unconfirmed commits are made of. */
export interface DeviceOverview {
  readonly replica: Replica;
  readonly identity: DatabaseIdentity | undefined;
  /** How many commits are pending. */
  readonly pending: number;
  /** How many commits are parked. */
  readonly parked: number;
  /** Streams of the first pending commits. */
  readonly streamIds: readonly string[];
  /** When the oldest pending commit was made. */
  readonly since: string | null;
}

/** All of the same moment. */
export async function readOverview(db: IDBPDatabase<Schema>): Promise<DeviceOverview> {
  const tx: ReadTx = db.transaction(["events", "parked", "meta"], "readonly");
  const [replica, identity, { groups, pending }, parked] = await Promise.all([
    replicaOf(tx),
    identityOf(tx),
    pendingCommits(tx),
    tx.objectStore("parked").count(),
  ]);
  const [first] = groups;
  const streamIds = new Set(groups.flatMap(({ streams }) => streams.map(([id]) => id)));
  return {
    replica,
    identity,
    pending,
    parked,
    streamIds: [...streamIds].slice(0, MOST_STREAMS),
    since: first === undefined ? null : madeAt(first),
  };
}

/** An outbox of fewer than 32 groups is read. In a longer one, the groups with one commit are counted, those with two, and so on. */
async function pendingCommits(tx: ReadTx): Promise<{ groups: readonly StoredGroup[]; pending: number }> {
  const events = tx.objectStore("events");
  const groups = (await events.getAll(outboxFrom(tx, 0), GROUPS_AT_ONCE)).filter(isGroup);
  if (groups.length < GROUPS_AT_ONCE) return { groups, pending: groups.reduce((sum, { commits }) => sum + commits.length, 0) };
  const ofSize = async (commits: number) => commits * (await events.index("commits").count(commits));
  const counted = await Promise.all(Array.from({ length: GROUP_COMMITS }, (_, i) => ofSize(i + 1)));
  return { groups, pending: counted.reduce((sum, commits) => sum + commits, 0) };
}

export function pendingEvents(entry: PendingEntry): StreamEvent[] {
  const unconfirmed: RecordingFields = { position: null, recordedAt: null, actor: null };
  return entry.events.slice(entry.confirmed).map((body, i) => ({
    ...body,
    streamId: entry.streamId,
    version: toVersion(entry.firstVersion + entry.confirmed + i),
    ...unconfirmed,
    pending: true,
  }));
}

/** The lease that says which tab syncs; `NO_LEASE` if no tab has synced yet. */
export async function leaseOf(tx: ReadTx): Promise<Lease> {
  return (await tx.objectStore("lease").get("leader")) ?? NO_LEASE;
}

/** Adds commits to the outbox, in this order. Returns the key of each group. */
export function addToOutbox(tx: WriteTx, entries: readonly NewEntry[]): Promise<number>[] {
  return toGroups(entries).map(async (group) => {
    const key = await tx.objectStore("events").add(group);
    assert(typeof key === "number", "IndexedDB gives each group of the outbox a number as its key");
    return key;
  });
}

/**
 * Uses up one key of the outbox. Every write that changes versions, except an append, does so. A tab that remembers versions then gets
 * another key than it expects, and reads the versions again (`version-memory.ts`).
 */
export async function skipNumber(tx: WriteTx): Promise<void> {
  const events = tx.objectStore("events");
  await events.delete(await events.add({ streams: [], commits: [] }));
}

/** All parked entries, in the order of `seq`. */
export async function parkedEntries(tx: ReadTx): Promise<ParkedEntry[]> {
  return (await tx.objectStore("parked").getAll()).map(toParkedEntry);
}

export function toParkedEntry(record: ParkedRecord): ParkedEntry {
  const events: EventBody[] = JSON.parse(record.events);
  return { ...record, state: "parked", events, command: toPendingCommand(record.command, events) };
}

export function toParkedRecord(entry: ParkedEntry): ParkedRecord {
  const { seq, streamId, expectedVersion, reason, events, command } = entry;
  return { seq, streamId, expectedVersion, reason, events: JSON.stringify(events), command };
}
