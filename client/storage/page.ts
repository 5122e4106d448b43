/** What sync writes: pages of the feed, and commits that the edge rejected. Each is one transaction with everything that follows from it. */
import type { IDBPDatabase } from "idb";
import { mayWrite } from "../../shared/device/leadership.ts";
import {
  type AwaitedEntries,
  arrivedAfterAll,
  confirmsOnly,
  contestedStreams,
  isHeld,
  type Known,
  type OutboxEntry,
  type ParkedEntry,
  type PendingEntry,
  reconcile,
} from "../../shared/device/outbox.ts";
import type { Refused } from "../../shared/device/push.ts";
import { parkRefused } from "../../shared/device/rejected.ts";
import { decidePage, isBehind, type PageRequest, type Replica } from "../../shared/device/replica.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import type { HeadwaterError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { FeedPage } from "../../shared/wire/wire.ts";
import type { Schema } from "./database.ts";
import {
  confirmedEvents,
  confirmedVersionOf,
  isSegment,
  leaseOf,
  numbersOf,
  pagesAfter,
  parkedEntries,
  replicaOf,
  skipNumber,
  toParkedRecord,
  type WriteTx,
  whole,
} from "./device-log.ts";
import { OutboxPart } from "./outbox.ts";
import { eventsOfPages, SEGMENT_EVENTS, type Segment, toSegments } from "./segments.ts";

/** The term of this leader is over: another tab leads, or storage holds something else than this one knows. */
export class Fenced extends Error {}

/** Entries by their `seq`. */
export interface OutboxChange {
  /** Entries that left the outbox: settled, parked or discarded. */
  readonly left: readonly number[];
  /** Entries that are still pending, on other versions; without those that are held as they were before. */
  readonly changed: readonly number[];
  /** True if the set of parked entries changed. */
  readonly isParkedChanged: boolean;
}

const NO_CHANGE: OutboxChange = { left: [], changed: [], isParkedChanged: false };

interface Applied extends OutboxChange {
  readonly kind: "applied";
  /** Why a contested commit waits for another version of the app; undefined if none does. */
  readonly waiting?: HeadwaterError | undefined;
}

export type PageOutcome = Applied | { readonly kind: "stale" };

/**
 * Writes the page's events, moves the cursor, and settles, moves, parks or discards the pending commits of the same streams. If the device
 * has caught up with this page, it also resolves the contested commits of other streams.
 *
 * The edge has the page's events too, so a relaxed transaction is enough: if all of it is lost, the page is fetched again. If a conflict
 * rule or a decider can create events, which exist on this device only, pass `strict`.
 *
 * @param term the term of the leader that calls this
 * @param awaited the entries that the edge has answered
 * @throws Fenced if another tab leads by now
 */
export async function applyPage(
  db: IDBPDatabase<Schema>,
  page: FeedPage,
  request: PageRequest,
  term: number,
  resolve: Resolve<ConfirmedEvent>,
  durability: IDBTransactionDurability,
  awaited: AwaitedEntries,
): Promise<PageOutcome & { readonly replica: Replica }> {
  const tx: WriteTx = db.transaction(["events", "parked", "meta", "lease"], "readwrite", { durability });
  const mayChange = page.events.length > 0 || contestedStreams(awaited).size > 0;
  const apply = async (): Promise<PageOutcome & { readonly replica: Replica }> => {
    // What does not depend on an answer is asked for at once: one event is written after one wait.
    const [before, stored] = await Promise.all([replicaOf(tx), mayChange ? readStored(tx) : undefined, assertLeads(tx, term)]);
    const decision = decidePage(before, page, request);
    if (decision.kind === "stale") return { kind: "stale", replica: before };
    const { replica, events } = decision;
    const writes: Promise<unknown>[] = [tx.objectStore("meta").put(replica, "history")];
    let change = NO_CHANGE;
    let waiting: HeadwaterError | undefined;
    const streams = Map.groupBy(events, (event) => event.streamId);
    const known = { isBehind: isBehind(replica), awaited };
    // Contested commits are resolved when the device is no longer behind, whatever the last page holds.
    if (!known.isBehind) {
      for (const streamId of contestedStreams(awaited)) if (!streams.has(streamId)) streams.set(streamId, []);
    }
    if (stored !== undefined && streams.size > 0) {
      const concerned = await readConcerned(stored.outbox, streams, known, request.isBackfill);
      if (events.length > 0)
        writes.push(...(request.isBackfill ? await backfillEvents(tx, events) : writeSegments(tx, events, stored.last)));
      const ended = endParked(tx, stored.parked, streams);
      const settled = await settleOutbox(tx, concerned, streams, resolve, known, request.isBackfill);
      change = { ...settled.change, isParkedChanged: settled.change.isParkedChanged || ended.length > 0 };
      waiting = settled.waiting;
      writes.push(...ended, ...settled.writes);
    }
    await Promise.all(writes);
    return { kind: "applied", replica, ...change, waiting };
  };
  return whole(tx, async () => {
    const [applied] = await Promise.all([apply(), mayChange ? skipNumber(tx) : undefined]);
    return applied;
  });
}

/** What a page with events may change. */
interface Stored {
  readonly outbox: OutboxPart;
  /** The last segment of the confirmed log. */
  readonly last: Segment | undefined;
  readonly parked: readonly ParkedEntry[];
}

async function readStored(tx: WriteTx): Promise<Stored> {
  const [outbox, last, parked] = await Promise.all([OutboxPart.open(tx), lastSegment(tx), parkedEntries(tx)]);
  return { outbox, last, parked };
}

async function lastSegment(tx: WriteTx): Promise<Segment | undefined> {
  const last = (await tx.objectStore("events").openCursor(pagesAfter(tx, 0), "prev"))?.value;
  return last !== undefined && isSegment(last) ? last : undefined;
}

async function assertLeads(tx: WriteTx, term: number): Promise<void> {
  if (!mayWrite(await leaseOf(tx), term)) throw new Fenced();
}

/**
 * Writes a new page. If the page before it has fewer than 8 events, both are written as one page: pages of a few events each, as they come
 * while the device is online, would otherwise leave many tiny records.
 */
function writeSegments(tx: WriteTx, events: readonly ConfirmedEvent[], last: Segment | undefined): Promise<unknown>[] {
  const store = tx.objectStore("events");
  const writes: Promise<unknown>[] = [];
  let all = events;
  if (last?.key[1] === 0) {
    const before = eventsOfPages([last]);
    if (before.length < SEGMENT_EVENTS) {
      writes.push(store.delete(last.key));
      all = [...before, ...events];
    }
  }
  for (const segment of toSegments(all)) writes.push(store.put(segment));
  return writes;
}

/** Adds backfilled events to the stored pages. A page that gets some keeps its key, which is the position of its last event. */
async function backfillEvents(tx: WriteTx, events: readonly ConfirmedEvent[]): Promise<Promise<unknown>[]> {
  const store = tx.objectStore("events");
  const first = events[0]?.position ?? 0;
  const keys = await store.getAllKeys(pagesAfter(tx, first - 1));
  const pages = [...new Set(keys.map((key) => (Array.isArray(key) ? key[0] : 0)))];
  const writes: Promise<unknown>[] = [];
  for (const [page, arrived] of Map.groupBy(events, ({ position }) => pages.find((end) => end >= position))) {
    let all = arrived;
    if (page !== undefined) {
      const range = numbersOf(tx, page, 0);
      const before: Segment[] = (await store.getAll(range)).filter(isSegment);
      const byPosition = new Map([...eventsOfPages(before), ...arrived].map((event) => [event.position, event]));
      all = [...byPosition.values()].sort((a, b) => a.position - b.position);
      writes.push(store.delete(range));
    }
    for (const segment of toSegments(all)) writes.push(store.put(segment));
  }
  return writes;
}

/** Deletes parked commits whose events have arrived in the feed after all. */
function endParked(
  tx: WriteTx,
  parked: readonly ParkedEntry[],
  streams: ReadonlyMap<string, readonly ConfirmedEvent[]>,
): Promise<unknown>[] {
  return [...Map.groupBy(parked, (entry) => entry.streamId)].flatMap(([streamId, entries]) =>
    arrivedAfterAll(entries, streams.get(streamId) ?? []).map((entry) => tx.objectStore("parked").delete(entry.seq)),
  );
}

/** Streams that are settled in one task of the page. */
const SETTLED_AT_ONCE = 16;

async function settleOutbox(
  tx: WriteTx,
  { outbox, ahead }: Concerned,
  streams: ReadonlyMap<string, readonly ConfirmedEvent[]>,
  resolve: Resolve<ConfirmedEvent>,
  known: Known,
  isBackfill: boolean,
): Promise<{ change: OutboxChange; writes: Promise<unknown>[]; waiting: HeadwaterError | undefined }> {
  let waiting: HeadwaterError | undefined;
  const left: number[] = [];
  const moved: OutboxEntry[] = [];
  let settledStreams = 0;
  for (const [streamId, arrived] of streams) {
    const entries = outbox.entries(streamId);
    if (entries.length === 0) continue;
    // The answer to any request comes in a task of its own, and keeps the transaction open.
    if (++settledStreams % SETTLED_AT_ONCE === 0) await leaseOf(tx);
    // The last event in a page of the feed is the stream's last one that the device knows. In a backfilled page it may be an earlier one.
    const confirmed = (isBackfill ? undefined : arrived.at(-1)?.version) ?? (await confirmedVersionOf(tx, streamId));
    const recorded = ahead.has(streamId) ? [] : await recordedFor(tx, entries);
    const reconciled = reconcile(entries, arrived, confirmed, resolve, recorded, known);
    const { settled, held, changed, discarded } = reconciled;
    waiting ??= reconciled.waiting;
    for (const entry of held) outbox.replace(entry);
    for (const { seq } of [...settled, ...discarded]) {
      outbox.remove(seq);
      left.push(seq);
    }
    moved.push(...changed);
  }
  const { change, writes } = changeOutbox(tx, outbox, moved);
  return { change: { ...change, left: [...left, ...change.left] }, writes, waiting };
}

/** The pending entries that a page may change. */
interface Concerned {
  readonly outbox: OutboxPart;
  /** The streams of which the page confirms the first entries and changes no other: only these were read. Of other streams, all were. */
  readonly ahead: ReadonlySet<string>;
}

/**
 * Reads the pending entries of the page's streams. If a stream's events in the page are the device's own and no others', only its first entries
 * are read: a long outbox is read once while it is confirmed, and not once for each page.
 */
async function readConcerned(
  outbox: OutboxPart,
  streams: ReadonlyMap<string, readonly ConfirmedEvent[]>,
  { awaited }: Known,
  isBackfill: boolean,
): Promise<Concerned> {
  if (outbox.isWhole) return { outbox, ahead: new Set() };
  const contested = contestedStreams(awaited);
  const isAhead = (streamId: string) => confirmsOnly(outbox.entries(streamId), streams.get(streamId) ?? []);
  const fronts = [...streams].flatMap(([streamId, arrived]) => {
    const [first, last] = [arrived[0], arrived.at(-1)];
    return first === undefined || last === undefined ? [] : [{ streamId, from: first.version, to: last.version }];
  });
  const candidates = isBackfill ? [] : fronts.filter(({ streamId }) => !contested.has(streamId));
  await outbox.read(candidates);
  // The page may hold the first events of the next entry.
  const open = candidates.filter(({ streamId }) => !isAhead(streamId));
  await outbox.read(open.map((range) => ({ ...range, andNext: true })));
  const ahead = new Set(candidates.map(({ streamId }) => streamId).filter(isAhead));
  const others = [...streams.keys()].filter((streamId) => !ahead.has(streamId));
  const hasEntries = await Promise.all(others.map((streamId) => outbox.hasEntries(streamId)));
  await outbox.read(others.filter((_, i) => hasEntries[i]).map((streamId) => ({ streamId, from: 0 })));
  return { outbox, ahead };
}

/** The stream's confirmed events, if one of the entries has a command that may be decided again on them, or is held. */
async function recordedFor(tx: WriteTx, entries: readonly PendingEntry[]): Promise<ConfirmedEvent[]> {
  const entry = entries.find((entry) => entry.command !== undefined || isHeld(entry));
  return entry === undefined ? [] : confirmedEvents(tx, entry.streamId, 1);
}

/** Writes changed entries: parked ones to `parked`, and the groups of all of them to the outbox. */
export function changeOutbox(
  tx: WriteTx,
  outbox: OutboxPart,
  entries: readonly OutboxEntry[],
): { change: OutboxChange; writes: Promise<unknown>[] } {
  const writes: Promise<unknown>[] = [];
  const left: number[] = [];
  const changed: number[] = [];
  for (const entry of entries) {
    switch (entry.state) {
      case "pending":
        outbox.replace(entry);
        changed.push(entry.seq);
        break;
      case "parked":
        outbox.remove(entry.seq);
        left.push(entry.seq);
        writes.push(tx.objectStore("parked").put(toParkedRecord(entry)));
        break;
      default:
        entry satisfies never;
    }
  }
  return { change: { left, changed, isParkedChanged: left.length > 0 }, writes: [...writes, outbox.write(tx)] };
}

/**
 * Parks the commits that the edge rejected, and all later pending commits of the same streams; or those whose command it refused, alone.
 *
 * @throws Fenced if another tab leads by now
 */
export async function recordRefusals(db: IDBPDatabase<Schema>, refused: readonly Refused[], term: number): Promise<OutboxChange> {
  const tx: WriteTx = db.transaction(["events", "parked", "lease", "meta"], "readwrite", { durability: "strict" });
  return whole(tx, async () => {
    await assertLeads(tx, term);
    const outbox = await OutboxPart.open(tx);
    const streams = Map.groupBy(refused, ({ entry }) => entry.streamId);
    await outbox.read([...streams.keys()].map((streamId) => ({ streamId, from: 0 })));
    const changed = [...streams].flatMap(([streamId, of]) => parkRefused(outbox.entries(streamId), of));
    const { change, writes } = changeOutbox(tx, outbox, changed);
    await Promise.all([skipNumber(tx), ...writes]);
    return change;
  });
}
