/**
 * The outbox: this device's own commits from the append until the edge has them, or the app lets go of them.
 *
 *                     feed brings its events
 *     append ──► pending ───────────────────────► confirmed (leaves the outbox)
 *                 ▲  │ the edge refuses it, or others' events took its place
 *        rebase() │  ▼
 *                parked ── discard() ──► gone, by the app's own word
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  1. an entry leaves the outbox only when the feed has brought all its events, or when the app discards it;
 *  2. a stream's pending entries stand in the order of `seq` on consecutive versions that follow the confirmed ones;
 *  6. each entry is pending or parked, never both, and each function here returns every entry that it was given.
 *
 * What it does not do: send, store or wait. `client/` does.
 */
import { assert } from "./assert.ts";
import type { ErrorCode } from "./errors.ts";
import type { EventBody } from "./event.ts";
import { conflictMessage, type ExpectedVersion, isExact } from "./expected-version.ts";
import { toVersion, type Version } from "./order.ts";
import type { StreamId } from "./stream-id.ts";

interface Entry {
  /** Place in the outbox: entries are pushed in this order. */
  readonly seq: number;
  readonly streamId: StreamId;
  readonly expectedVersion: ExpectedVersion;
  readonly events: readonly EventBody[];
}

export interface PendingEntry extends Entry {
  readonly state: "pending";
  /** The version of its first event, unless others come first. */
  readonly firstVersion: Version;
  /** How many of its events, from the first, the feed has brought already: a page may end within a commit. */
  readonly confirmed: number;
}

export interface ParkedEntry extends Entry {
  readonly state: "parked";
  readonly reason: ParkReason;
}

/** Why an entry is parked. */
export interface ParkReason {
  readonly code: ErrorCode;
  readonly message: string;
  /** The stream's version that stood against it; 0 where the reason is another. */
  readonly actualVersion: Version;
}

export type OutboxEntry = PendingEntry | ParkedEntry;

/** The version of an entry's last event. */
export function lastVersionOf(entry: Pick<PendingEntry, "firstVersion" | "events">): Version {
  return toVersion(entry.firstVersion + entry.events.length - 1);
}

export interface Reconciled {
  /** Entries whose every event is confirmed: they leave the outbox. */
  readonly settled: readonly PendingEntry[];
  /** Entries that moved, are confirmed in part, or are parked now. */
  readonly changed: readonly OutboxEntry[];
}

/**
 * What becomes of a stream's pending entries now that these events of it are confirmed.
 *
 * Own events settle their entries. Others' events push what is left behind them: an entry without an exact expectation
 * moves; one with an exact expectation was decided on a truth that no longer is, and is parked, and every later entry of
 * the stream with it.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param arrived the events of one page, in version order
 */
export function reconcile(
  entries: readonly PendingEntry[],
  arrived: readonly { readonly id: string; readonly version: Version }[],
): Reconciled {
  const last = arrived.at(-1);
  assert(last !== undefined, "a page's run has at least one event");
  const ids = new Set(arrived.map((event) => event.id));
  const settled: PendingEntry[] = [];
  const changed: OutboxEntry[] = [];
  let next = toVersion(last.version + 1);
  let parked: ParkReason | undefined;
  for (const entry of entries) {
    const confirmed = confirmedCount(entry, ids);
    if (confirmed === entry.events.length) {
      settled.push(entry);
      continue;
    }
    const firstVersion = toVersion(next - confirmed);
    if (confirmed > 0) {
      // The edge took the commit, whole; the rest of it stands at the head of the next page.
      changed.push({ ...entry, firstVersion, confirmed });
    } else if (parked === undefined && firstVersion === entry.firstVersion) {
      // Nothing came between.
    } else if (parked === undefined && !isExact(entry.expectedVersion)) {
      changed.push({ ...entry, firstVersion });
    } else {
      const isFirst = parked === undefined;
      parked ??= conflictReason(entry.expectedVersion, last.version);
      changed.push(park(entry, isFirst ? parked : behind(parked)));
      continue;
    }
    next = toVersion(next + entry.events.length - confirmed);
  }
  return { settled, changed };
}

function confirmedCount(entry: PendingEntry, ids: ReadonlySet<string>): number {
  let count = entry.confirmed;
  while (count < entry.events.length && ids.has(entry.events[count]?.id ?? "")) count++;
  return count;
}

/**
 * Parks an entry and, since they were made on top of it, every later one of its stream.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 */
export function parkFrom(entries: readonly PendingEntry[], seq: number, reason: ParkReason): readonly ParkedEntry[] {
  return entries.filter((entry) => entry.seq >= seq).map((entry) => park(entry, entry.seq === seq ? reason : behind(reason)));
}

function park(entry: PendingEntry, reason: ParkReason): ParkedEntry {
  const { seq, streamId, expectedVersion, events } = entry;
  return { state: "parked", seq, streamId, expectedVersion, events, reason };
}

export function conflictReason(expected: ExpectedVersion, actual: Version): ParkReason {
  return {
    code: "version-conflict",
    message: conflictMessage(expected, actual),
    actualVersion: actual,
  };
}

function behind(reason: ParkReason): ParkReason {
  return { ...reason, message: `An earlier commit of this device to the stream is parked. ${reason.message}` };
}

/**
 * A parked entry put behind everything its stream holds now: pending again, at the end of the outbox.
 *
 * @param seq the next free place of the outbox
 * @param version the stream's version, pending entries included
 */
export function rebaseEntry(entry: ParkedEntry, seq: number, version: Version): PendingEntry {
  const { streamId, expectedVersion, events } = entry;
  return {
    state: "pending",
    seq,
    streamId,
    expectedVersion: isExact(expectedVersion) ? version : expectedVersion,
    events,
    firstVersion: toVersion(version + 1),
    confirmed: 0,
  };
}
