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
import { reusedMessage, sameContent } from "./append.ts";
import { assert, unreachable } from "./assert.ts";
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

/** A pending entry that is yet to be given its place. */
export type NewEntry = Omit<PendingEntry, "seq">;

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

/** An event of a page, as far as it matters here. */
export type ArrivedEvent = Omit<EventBody, "occurredAt"> & { readonly version: Version };

/**
 * What becomes of a stream's pending entries now that these events of it are confirmed.
 *
 * Own events settle their entries. Others' events push what is left behind them: an entry without an exact expectation
 * moves; one with an exact expectation was decided on a truth that no longer is, and is parked, and every later entry of
 * the stream with it. An entry whose ids arrive for something else is parked too: the edge will never take it.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param arrived the events of one page, in version order
 */
export function reconcile(entries: readonly PendingEntry[], arrived: readonly ArrivedEvent[]): Reconciled {
  const last = arrived.at(-1);
  assert(last !== undefined, "a page's run has at least one event");
  const byId = new Map(arrived.map((event) => [event.id, event]));
  const settled: PendingEntry[] = [];
  const changed: OutboxEntry[] = [];
  let next = toVersion(last.version + 1);
  let parked: ParkReason | undefined;
  for (const entry of entries) {
    const arrival = arrivalOf(entry, byId, last.version);
    if (arrival.kind === "whole") {
      settled.push(entry);
      continue;
    }
    const confirmed = arrival.kind === "begun" ? arrival.confirmed : 0;
    const reason = reasonToPark(entry, arrival, next, last.version, parked);
    if (reason !== undefined) {
      parked ??= reason;
      changed.push(park(entry, reason));
      continue;
    }
    const firstVersion = toVersion(next - confirmed);
    if (confirmed !== entry.confirmed || firstVersion !== entry.firstVersion) changed.push({ ...entry, firstVersion, confirmed });
    next = toVersion(firstVersion + entry.events.length);
  }
  return { settled, changed };
}

type Arrival =
  | { readonly kind: "none" }
  | { readonly kind: "whole" }
  /** The page ends within it. A commit is taken whole, so the rest stands at the head of the next page. */
  | { readonly kind: "begun"; readonly confirmed: number }
  /** Its id stands for another event, or for one of a commit that is not this one. */
  | { readonly kind: "reused"; readonly eventId: string };

/** Own events are those with an entry's ids and content, side by side and in its order. */
function arrivalOf(entry: PendingEntry, byId: ReadonlyMap<string, ArrivedEvent>, lastVersion: Version): Arrival {
  const { events } = entry;
  const [first] = events;
  assert(first !== undefined, "a commit has at least one event");
  const firstVersion = entry.confirmed > 0 ? entry.firstVersion : (byId.get(first.id)?.version ?? lastVersion + 1);
  let confirmed = entry.confirmed;
  for (const own of events.slice(confirmed)) {
    const there = byId.get(own.id);
    if (there === undefined || there.version !== firstVersion + confirmed || !sameContent(there, own)) break;
    confirmed++;
  }
  if (confirmed === events.length) return { kind: "whole" };
  const elsewhere = events.slice(confirmed).find((own) => byId.has(own.id));
  if (elsewhere !== undefined) return { kind: "reused", eventId: elsewhere.id };
  if (confirmed === 0) return { kind: "none" };
  return firstVersion + confirmed > lastVersion ? { kind: "begun", confirmed } : { kind: "reused", eventId: first.id };
}

/** @param parked why an earlier entry of the stream is parked, where one is */
function reasonToPark(
  entry: PendingEntry,
  arrival: Exclude<Arrival, { kind: "whole" }>,
  next: Version,
  actual: Version,
  parked: ParkReason | undefined,
): ParkReason | undefined {
  switch (arrival.kind) {
    case "begun":
      return undefined;
    case "reused":
      return { code: "event-id-reused", message: reusedMessage(arrival.eventId), actualVersion: actual };
    case "none":
      if (parked !== undefined) return behind(parked);
      return entry.firstVersion !== next && isExact(entry.expectedVersion) ? conflictReason(entry.expectedVersion, actual) : undefined;
    default:
      return unreachable(arrival);
  }
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
