/** Reads and writes the device's events, replica and lease, within the caller's transaction. */
import type { IDBPDatabase, IDBPTransaction } from "idb";
import { assert } from "../../shared/assert.ts";
import { type Lease, NO_LEASE } from "../../shared/device/leadership.ts";
import type { NewEntry, ParkedEntry, PendingEntry } from "../../shared/device/outbox.ts";
import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import type { ConfirmedEvent, EventBody, RecordingFields } from "../../shared/event/event.ts";
import { toVersion, type Version } from "../../shared/order.ts";
import type { StreamEvent } from "../event-store.ts";
import type { ParkedRecord, Schema, StoreName } from "./database.ts";
import { entriesOf, type Group, groupKeyOf, regroup, type StoredGroup, toGroups } from "./groups.ts";
import { between } from "./idb.ts";
import { eventsOf, type Segment, type SegmentKey } from "./segments.ts";

type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, StoreName[], M>;
export type ReadTx = Tx<"readonly"> | Tx<"readwrite">;
export type WriteTx = Tx<"readwrite">;

/**
 * Runs `work` in a transaction, and waits until the transaction completes. If `work` throws, the transaction is aborted, so that none of its
 * writes is stored.
 */
export async function whole<T>(tx: Pick<WriteTx, "done" | "abort">, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    await tx.done;
    return result;
  } catch (error) {
    try {
      tx.abort();
    } catch {
      // The transaction has ended already.
    }
    throw error;
  }
}

const LAST_NUMBER = Number.POSITIVE_INFINITY;
/** Sorts after all keys. */
const END = [LAST_NUMBER, LAST_NUMBER];

/** The device's replica. Fields that an older version of this code did not store get their defaults. */
export async function replicaOf(tx: ReadTx): Promise<Replica> {
  // Databases before version 4 called its backfills `fills`.
  const { fills, ...stored }: Partial<Replica> & { fills?: Replica["backfills"] } = (await tx.objectStore("meta").get("history")) ?? {};
  return { ...NEW_REPLICA, ...(fills !== undefined && { backfills: fills }), ...stored };
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
function byStream(tx: ReadTx) {
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

/** The outbox's next groups from this key on, inclusive, in order: 32 at most. */
export async function groupsFrom(db: IDBPDatabase<Schema>, key: number): Promise<StoredGroup[]> {
  const tx: ReadTx = db.transaction(["events"], "readonly");
  return (await tx.objectStore("events").getAll(outboxFrom(tx, key), GROUPS_AT_ONCE)).filter(isGroup);
}

const GROUPS_AT_ONCE = 32;

/** All groups of the outbox, in order. */
export async function allGroups(tx: ReadTx): Promise<StoredGroup[]> {
  return (await tx.objectStore("events").getAll(outboxFrom(tx, 0))).filter(isGroup);
}

/** The replica, and how many commits are pending and parked, all of the same moment. */
export async function readOverview(db: IDBPDatabase<Schema>): Promise<{ replica: Replica; pending: number; parked: number }> {
  const tx: ReadTx = db.transaction(["events", "parked", "meta"], "readonly");
  const [replica, groups, parked] = await Promise.all([replicaOf(tx), allGroups(tx), tx.objectStore("parked").count()]);
  return { replica, pending: groups.flatMap(({ commits }) => commits).length, parked };
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

/** Groups of the outbox that were read to be changed. A changed group is written back whole. */
export class OutboxPart {
  readonly #groups: ReadonlyMap<number, StoredGroup>;
  /** By `seq`: the changed entry, or undefined if it leaves the outbox. */
  readonly #changes = new Map<number, PendingEntry | undefined>();

  private constructor(records: readonly (Segment | Group | undefined)[]) {
    this.#groups = new Map(records.flatMap((record) => (record !== undefined && isGroup(record) ? [[record.key, record]] : [])));
  }

  /** Reads all groups that hold pending commits of these streams. An outbox of fewer than 32 groups is read whole, in one request. */
  static async read(tx: ReadTx, streamIds: Iterable<string>): Promise<OutboxPart> {
    const events = tx.objectStore("events");
    const first = await events.getAll(outboxFrom(tx, 0), GROUPS_AT_ONCE);
    if (first.length < GROUPS_AT_ONCE) return new OutboxPart(first);
    const keys = await Promise.all([...streamIds].map((streamId) => byStream(tx).getAllKeys(numbersOf(tx, streamId, 0))));
    const wanted = [...new Set(keys.flat())].filter((key) => typeof key === "number").sort((a, b) => a - b);
    return new OutboxPart(await Promise.all(wanted.map((key) => events.get(key))));
  }

  /** Reads the whole outbox. */
  static async readAll(tx: ReadTx): Promise<OutboxPart> {
    return new OutboxPart(await tx.objectStore("events").getAll(outboxFrom(tx, 0)));
  }

  streamIds(): Set<string> {
    return new Set([...this.#groups.values()].flatMap(({ streams }) => streams.map(([streamId]) => streamId)));
  }

  /** All pending entries of one of the streams that were read, in the order of `seq`. */
  entries(streamId: string): PendingEntry[] {
    return [...this.#groups.values()].flatMap((group) => entriesOf(group, (id) => id === streamId));
  }

  replace(entry: PendingEntry): void {
    this.#changes.set(entry.seq, entry);
  }

  remove(seq: number): void {
    this.#changes.set(seq, undefined);
  }

  write(tx: WriteTx): Promise<unknown>[] {
    const events = tx.objectStore("events");
    return [...new Set([...this.#changes.keys()].map(groupKeyOf))].map((key) => {
      const group = this.#groups.get(key);
      assert(group !== undefined, "the group of a changed entry was read before");
      const left = regroup(group, this.#changes);
      return left === undefined ? events.delete(key) : events.put(left);
    });
  }
}

/** All parked entries, in the order of `seq`. */
export async function parkedEntries(tx: ReadTx): Promise<ParkedEntry[]> {
  return (await tx.objectStore("parked").getAll()).map(toParkedEntry);
}

export function toParkedEntry(record: ParkedRecord): ParkedEntry {
  const events: EventBody[] = JSON.parse(record.events);
  return { ...record, state: "parked", events };
}

export function toParkedRecord(entry: ParkedEntry): ParkedRecord {
  const { seq, streamId, expectedVersion, reason, events, command } = entry;
  return { seq, streamId, expectedVersion, reason, events: JSON.stringify(events), command };
}
