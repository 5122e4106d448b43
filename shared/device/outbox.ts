/**
 * The outbox: this device's own commits from the append until the edge has them, or the app lets go of them.
 *
 *                     feed brings its events
 *     append ──► pending ───────────────────────► confirmed (leaves the outbox)
 *                 ▲  │ the edge refuses it, or others' events took its place and no rule moves it
 *        rebase() │  ▼
 *                parked ── discard() ──► gone, by the app's own word (or by its rule's)
 *                    └── the feed brings its events after all ──► confirmed
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  1. an entry leaves the outbox only when the feed has brought all its events, or when the app discards it;
 *  2. a stream's pending entries stand in the order of `seq` on consecutive versions that follow the confirmed ones, and what is
 *     left of one that is confirmed in part before all others;
 *  6. each entry is pending or parked, never both, and each function here returns every entry that it was given.
 *
 * What it does not do: send, store or wait. `client/` does.
 */
import { type Refusal, reusedMessage, sameContent } from "../append.ts";
import { assert } from "../assert.ts";
import type { ErrorCode } from "../errors.ts";
import type { EventBody } from "../event/event.ts";
import { conflictMessage, type ExpectedVersion, exactVersion } from "../expected-version.ts";
import { toVersion, type Version } from "../order.ts";
import type { StreamId } from "../stream-id.ts";
import type { PendingCommand } from "./decider.ts";
import type { Resolve } from "./resolution.ts";

interface Entry {
  /** Place in the outbox: entries are pushed in this order. */
  readonly seq: number;
  readonly streamId: StreamId;
  readonly expectedVersion: ExpectedVersion;
  readonly events: readonly EventBody[];
  /** What the events were decided for. */
  readonly command?: PendingCommand | undefined;
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
  /** Entries that the app's rule lets go of. */
  readonly discarded: readonly PendingEntry[];
}

/** An event of a page, as far as it matters here. */
export type ArrivedEvent = Omit<EventBody, "occurredAt"> & { readonly version: Version };

/**
 * What becomes of a stream's pending entries now that these events of it are confirmed.
 *
 * Own events settle their entries. Others' events push what is left behind them: an entry without an exact expectation
 * moves; one with an exact expectation was decided on a truth that no longer is, and the rules say what becomes of it
 * (`resolution.ts`). Where they park it, every later entry of the stream is parked with it. An entry whose ids arrive for
 * something else is parked too: the edge will never take it.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param arrived the events of one page, in version order
 * @param confirmed the stream's confirmed version with them: a page that fills in older events may bring less
 * @param recorded all of the stream that is confirmed, in version order, where an entry has a command
 */
export function reconcile<E extends ArrivedEvent>(
  entries: readonly PendingEntry[],
  arrived: readonly E[],
  confirmed: Version,
  resolve: Resolve<E>,
  recorded: readonly E[] = [],
): Reconciled {
  const last = arrived.at(-1);
  assert(last !== undefined && last.version <= confirmed, "what arrived is confirmed");
  const byId = new Map(arrived.map((event) => [event.id, event]));
  const settled: PendingEntry[] = [];
  const changed: OutboxEntry[] = [];
  const discarded: PendingEntry[] = [];
  const own = new Set(entries.flatMap(({ events }) => events.map(({ id }) => id)));
  const theirs = arrived.filter(({ id }) => !own.has(id));
  const arrivals = entries.map((entry) => ({ entry, arrival: arrivalOf(entry, byId, last.version) }));
  // Something stands where the first that is left would go, be it of an entry behind it: whatever was decided on what stood there, or
  // on one another, has to be decided again, also where the number of the version happens to be the right one.
  const front = arrivals.find(({ arrival }) => arrival.kind === "none")?.entry.firstVersion ?? Number.POSITIVE_INFINITY;
  const isOvertaken = arrived.some(({ version }) => version >= front);
  // What is left of a commit that the page ends within comes first, whatever else is pending: the edge has it already.
  const left = arrivals.map(({ entry, arrival }) => (arrival.kind === "begun" ? entry.events.length - arrival.confirmed : 0));
  let next = toVersion(confirmed + 1 + Math.max(0, ...left));
  let parked: ParkReason | undefined;
  const ahead: (EventBody & { readonly version: Version })[] = [];
  const keep = (entry: PendingEntry, before: PendingEntry) => {
    next = toVersion(lastVersionOf(entry) + 1);
    ahead.push(...numbered(entry));
    if (entry !== before) changed.push(entry);
  };
  const parkEntry = (entry: PendingEntry, reason: ParkReason) => {
    parked ??= reason;
    changed.push(park(entry, reason));
  };
  for (const { entry, arrival } of arrivals) {
    switch (arrival.kind) {
      case "whole":
        settled.push(entry);
        break;
      case "begun":
        changed.push({ ...entry, firstVersion: arrival.firstVersion, confirmed: arrival.confirmed });
        ahead.push(...numbered({ ...entry, firstVersion: arrival.firstVersion }).slice(arrival.confirmed));
        break;
      case "reused":
        parkEntry(entry, { code: "event-id-reused", message: reusedMessage(arrival.eventId), actualVersion: confirmed });
        break;
      case "none": {
        const believed = exactVersion(entry.expectedVersion);
        if (parked !== undefined) parkEntry(entry, behind(parked));
        else if (believed === undefined || (believed === next - 1 && !isOvertaken)) keep(placed(entry, next, 0), entry);
        else {
          const reason = conflictReason(entry.expectedVersion, confirmed);
          const resolution = resolve({ ...entry, actualVersion: confirmed, theirs, recorded, ahead });
          if (resolution.kind === "rebase") keep(rebased(entry, next, resolution.events), entry);
          else if (resolution.kind === "discard") discarded.push(entry);
          else parkEntry(entry, resolution.why === undefined ? reason : { ...reason, message: `${reason.message} ${resolution.why}` });
        }
        break;
      }
      default:
        arrival satisfies never;
    }
  }
  return { settled, changed, discarded };
}

function numbered({ events, firstVersion }: Pick<PendingEntry, "events" | "firstVersion">): (EventBody & { readonly version: Version })[] {
  return events.map((event, i) => ({ ...event, version: toVersion(firstVersion + i) }));
}

export function placed(entry: PendingEntry, firstVersion: Version, confirmed: number): PendingEntry {
  return entry.firstVersion === firstVersion && entry.confirmed === confirmed ? entry : { ...entry, firstVersion, confirmed };
}

/** The entry behind what others appended, as if it had been made there. */
function rebased(entry: PendingEntry, firstVersion: Version, events = entry.events): PendingEntry {
  return { ...entry, expectedVersion: firstVersion - 1, events, firstVersion, confirmed: 0 };
}

type Arrival =
  | { readonly kind: "none" }
  | { readonly kind: "whole" }
  /** The page ends within it. A commit is taken whole, so the rest stands at the head of the next page. */
  | { readonly kind: "begun"; readonly firstVersion: Version; readonly confirmed: number }
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
  return firstVersion + confirmed > lastVersion
    ? { kind: "begun", firstVersion: toVersion(firstVersion), confirmed }
    : { kind: "reused", eventId: first.id };
}

/**
 * Parked entries that the edge has taken all the same: one that was on its way when it was parked, or that an app has sent by
 * another way. They are parked no more. A commit is taken whole, so it has arrived when its last event has, behind the others as far as
 * the page reaches back.
 *
 * @param parked of the stream
 * @param arrived the events of one page, in version order
 */
export function arrivedAfterAll(parked: readonly ParkedEntry[], arrived: readonly ArrivedEvent[]): readonly ParkedEntry[] {
  return parked.filter(({ events }) => {
    const first = arrived.findIndex(({ id }) => id === events.at(-1)?.id) - events.length + 1;
    if (first + events.length === 0) return false;
    return events.every((own, i) => {
      const there = arrived[first + i];
      return first + i < 0 || (there?.id === own.id && sameContent(there, own));
    });
  });
}

/**
 * Parks an entry and, since they were made on top of it, every later one of its stream. An entry that has been moved since
 * it was sent was refused for something that it no longer says: it stays.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 */
export function parkFrom(
  entries: readonly PendingEntry[],
  sent: Pick<PendingEntry, "seq" | "expectedVersion">,
  reason: ParkReason,
): readonly ParkedEntry[] {
  const stands = entries.some(({ seq, expectedVersion }) => seq === sent.seq && expectedVersion === sent.expectedVersion);
  if (!stands) return [];
  return entries.filter(({ seq }) => seq >= sent.seq).map((entry) => park(entry, entry.seq === sent.seq ? reason : behind(reason)));
}

export function park(entry: PendingEntry, reason: ParkReason): ParkedEntry {
  const { seq, streamId, expectedVersion, events, command } = entry;
  return { state: "parked", seq, streamId, expectedVersion, events, command, reason };
}

export function conflictReason(expected: ExpectedVersion, actual: Version): ParkReason {
  return {
    code: "version-conflict",
    // The number may be the one that was expected, and others' events stand before it all the same.
    message: expected === actual ? `Others appended first; the stream is at version ${actual}.` : conflictMessage(expected, actual),
    actualVersion: actual,
  };
}

/** Of what was made on top of a commit that is parked. */
export function behind(reason: ParkReason): ParkReason {
  return { ...reason, message: `An earlier commit to the stream is parked. ${reason.message}` };
}

/**
 * What a stream's parked entries have to do with a commit that was found fit to be appended: whoever appends a parked commit's
 * events again has given it its end, so that it leaves with the append; other events by ids of a parked one are refused.
 */
export function supersede(parked: readonly ParkedEntry[], events: readonly EventBody[]): Superseded | Refusal {
  const ids = new Set(events.map(({ id }) => id));
  const gone = parked.filter((entry) => entry.events.some(({ id }) => ids.has(id)));
  for (const entry of gone) {
    const place = events.findIndex(({ id }) => id === entry.events[0]?.id);
    const reused = entry.events.find((own, i) => {
      const again = events[place + i];
      return again?.id !== own.id || !sameContent(again, own);
    });
    if (reused !== undefined) return { kind: "refused", code: "event-id-reused", eventId: reused.id };
  }
  return { kind: "superseded", gone };
}

export interface Superseded {
  readonly kind: "superseded";
  readonly gone: readonly ParkedEntry[];
}
