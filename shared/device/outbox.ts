/**
 * The outbox: the device's own commits, from the append until the feed has delivered them or the app discards them.
 *
 *                     the feed delivers its events
 *     append ──► pending ──────────────────────────────► confirmed (leaves the outbox)
 *                 ▲  │ the edge rejects it, or others' events took its versions and no rule moves it
 *        rebase() │  ▼
 *                parked ── discard() ──► deleted, by the app (or by its rule)
 *                    └── the feed delivers its events after all ──► confirmed
 *
 * Others' events may come before a pending entry while the device is behind the log. Then it is held: it is pending, and no rule resolves it
 * until the device has caught up.
 *
 * Invariants (numbers of docs/architecture.md):
 *  1. an entry leaves the outbox only when the feed has delivered all its events, or when the app discards it;
 *  2. a stream's pending entries are in the order of `seq`, on consecutive versions that follow the confirmed ones. If an entry is
 *     confirmed in part, the rest of it comes before all other entries;
 *  6. each entry is pending or parked, never both, and each function here returns every entry that it was given.
 *
 * What it does not do: send, store or wait. `client/` does that.
 */
import { type Refusal, reusedMessage, sameContent } from "../append.ts";
import { assert } from "../assert.ts";
import { type CommandRefusal, commandIdOf, type PendingCommand } from "../decider/command.ts";
import type { ErrorCode, HeadwaterError } from "../errors.ts";
import type { EventBody } from "../event/event.ts";
import { conflictMessage, type ExpectedVersion, exactVersion } from "../expected-version.ts";
import { toVersion, type Version } from "../order.ts";
import type { StreamId } from "../stream-id.ts";
import type { Resolution, Resolve } from "./resolution.ts";

interface Entry {
  /** The entry's place in the outbox. Entries are pushed in this order. */
  readonly seq: number;
  readonly streamId: StreamId;
  readonly expectedVersion: ExpectedVersion;
  readonly events: readonly EventBody[];
  /** The command for which the events were decided. */
  readonly command?: PendingCommand | undefined;
}

export interface PendingEntry extends Entry {
  readonly state: "pending";
  /** The version of its first event, unless others come first. */
  readonly firstVersion: Version;
  /** How many of its events, from the first on, the feed has delivered already: a page may end within a commit. */
  readonly confirmed: number;
}

/** A pending entry that does not have its place in the outbox yet. */
export type NewEntry = Omit<PendingEntry, "seq">;

export interface ParkedEntry extends Entry {
  readonly state: "parked";
  readonly reason: ParkReason;
}

/** Why an entry is parked. */
export interface ParkReason {
  readonly code: ErrorCode;
  readonly message: string;
  /** The stream's version, if the reason is a conflict with it; 0 for another reason. */
  readonly actualVersion: Version;
  /** What `decide` threw, if the command was refused, on this device or by the edge. */
  readonly refusal?: CommandRefusal | undefined;
}

/** Whether a command was refused, and not what stood behind it. */
export function isRefusal({ code, refusal }: ParkReason): boolean {
  return refusal !== undefined || code === "command-refused";
}

export type OutboxEntry = PendingEntry | ParkedEntry;

/** The version of an entry's last event. */
export function lastVersionOf(entry: Pick<PendingEntry, "firstVersion" | "events">): Version {
  return toVersion(entry.firstVersion + entry.events.length - 1);
}

/** An entry that the edge has answered and whose events, or those that came before it, the feed has not delivered yet. */
export interface Awaited {
  readonly streamId: string;
  readonly kind: "taken" | "contested";
}

/** By `seq`. The entries that have waited longest come first. */
export type AwaitedEntries = ReadonlyMap<number, Awaited>;

/** The streams with a commit that the edge rejected because others were first. */
export function contestedStreams(awaited: AwaitedEntries): ReadonlySet<string> {
  const streamIds = new Set<string>();
  for (const { kind, streamId } of awaited.values()) if (kind === "contested") streamIds.add(streamId);
  return streamIds;
}

/** What the device knows about the log beyond the page that it applies. */
export interface Known {
  /** The log holds events that the device has not fetched yet: a stream's entries may be among them. */
  readonly isBehind: boolean;
  readonly awaited: AwaitedEntries;
}

export interface Reconciled {
  /** Entries with all events confirmed: they leave the outbox. */
  readonly settled: readonly PendingEntry[];
  /** Entries that only moved, and are held: the answer to a push with them is still about them. */
  readonly held: readonly PendingEntry[];
  /** Entries that moved, are confirmed in part, or are parked now. */
  readonly changed: readonly OutboxEntry[];
  /** Entries that the app's rule discards. */
  readonly discarded: readonly PendingEntry[];
  /** Why an entry waits for another version of the app; undefined if none does. */
  readonly waiting: HeadwaterError | undefined;
}

/** The fields of a page's event that this file needs. */
export type ArrivedEvent = Omit<EventBody, "occurredAt"> & { readonly version: Version };

/**
 * A stream's pending entries after events of a page are confirmed.
 *
 * If the events are an entry's own, the entry is settled. If they are others' events, the remaining entries come after them. An entry
 * without an exact expectation moves. An entry with an exact expectation was decided on a version that is no longer the last one, so the
 * rules resolve it (`resolution.ts`). If they park it, every later entry of the stream is parked with it. An entry is also parked if
 * its ids arrive with other content, because the edge will never accept it.
 *
 * The edge may have an entry already, and the feed may deliver others' events first. Events that a rule puts in its place would be
 * recorded in addition to it. So the entry is held and no rule is applied while the device is behind, or knows that the edge took the
 * entry. A held entry is resolved when the device is no longer behind, and the edge has said that others' events came before it.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param arrived the stream's events of one page, in version order; it may have none
 * @param confirmed the stream's confirmed version, these events included; a page of a backfill may end before it
 * @param resolve applies the app's rules
 * @param recorded if an entry has a command or is held: all confirmed events of the stream, in version order
 */
export function reconcile<E extends ArrivedEvent>(
  entries: readonly PendingEntry[],
  arrived: readonly E[],
  confirmed: Version,
  resolve: Resolve<E>,
  recorded: readonly E[],
  { isBehind, awaited }: Known,
): Reconciled {
  const last = arrived.at(-1)?.version ?? confirmed;
  assert(last <= confirmed, "what arrived is confirmed");
  const byId = new Map(arrived.map((event) => [event.id, event]));
  const settled: PendingEntry[] = [];
  const held: PendingEntry[] = [];
  const changed: OutboxEntry[] = [];
  const discarded: PendingEntry[] = [];
  const own = new Set(entries.flatMap(({ events }) => events.map(({ id }) => id)));
  // If an entry is held, others' events came in earlier pages too.
  const since = entries.find(isHeld)?.expectedVersion;
  const others = since === undefined ? arrived : recorded.filter(({ version }) => version > (exactVersion(since) ?? 0));
  const theirs = others.filter((event) => !own.has(event.id));
  const arrivals = entries.map((entry) => ({ entry, arrival: arrivalOf(entry, byId, last) }));
  // If the page ends within a commit, the rest of this commit comes before everything else that is pending: the edge has it already.
  const left = arrivals.map(({ entry, arrival }) => (arrival.kind === "begun" ? entry.events.length - arrival.confirmed : 0));
  let next = toVersion(confirmed + 1 + Math.max(0, ...left));
  // Another event took the version of the first entry that did not arrive, or will take it: a later entry's event, or the rest of a commit.
  // All entries that were decided on the stream as it was before, or on one another, must be decided again, even if the version number
  // still matches.
  const front = arrivals.find(({ arrival }) => arrival.kind === "none")?.entry.firstVersion ?? Number.POSITIVE_INFINITY;
  let isOvertaken = front < next;
  /** What is held expects no more than this: what was there before the first events that are gone. */
  let heldOn = front - 1;
  const isContested = entries.some(({ seq }) => awaited.get(seq)?.kind === "contested");
  let isHolding = isBehind;
  let parked: ParkReason | undefined;
  let waiting: HeadwaterError | undefined;
  const ahead: (EventBody & { readonly version: Version })[] = [];
  const keep = (entry: PendingEntry, before: PendingEntry, moved: OutboxEntry[] = changed) => {
    next = toVersion(lastVersionOf(entry) + 1);
    ahead.push(...numbered(entry));
    if (entry !== before) moved.push(entry);
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
      case "decided":
        settled.push(entry);
        // Later entries were decided on events that are gone.
        isOvertaken = true;
        heldOn = Math.min(heldOn, entry.firstVersion - 1);
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
        // Entries on top of one that is held are held too.
        isHolding ||= awaited.get(entry.seq)?.kind === "taken" || (isHeld(entry) && !isContested);
        if (parked !== undefined) {
          parkEntry(entry, behind(parked));
          break;
        }
        if (believed === undefined || (believed === next - 1 && !isOvertaken)) {
          keep(placed(entry, next, 0), entry);
          break;
        }
        const resolution = isHolding ? undefined : resolve({ ...entry, actualVersion: confirmed, theirs, recorded, ahead });
        if (resolution === undefined || resolution.kind === "wait") {
          waiting ??= resolution?.error;
          // Entries on top of one that waits wait too.
          isHolding = true;
          const moved = placed(entry, next, 0);
          const on = Math.min(believed, heldOn);
          if (on === believed) keep(moved, entry, held);
          else keep({ ...moved, expectedVersion: on }, entry);
        } else {
          const reason = conflictReason(entry.expectedVersion, confirmed);
          // Later entries were decided on events that are gone.
          isOvertaken ||= resolution.kind !== "rebase" || resolution.events !== undefined;
          if (resolution.kind === "rebase") keep(rebased(entry, next, resolution.events), entry);
          else if (resolution.kind === "discard") discarded.push(entry);
          else parkEntry(entry, withWhy(reason, resolution));
        }
        break;
      }
      default:
        arrival satisfies never;
    }
  }
  return { settled, held, changed, discarded, waiting };
}

function withWhy(reason: ParkReason, { why, refusal }: Extract<Resolution, { kind: "park" }>): ParkReason {
  if (why === undefined) return reason;
  return { ...reason, message: `${reason.message} ${why}`, ...(refusal && { refusal }) };
}

/**
 * Whether a page confirms a stream's first pending events, as they are and in their order, and holds nothing else of the stream. Then later
 * entries stay as they are (invariant 2), so `reconcile` need not be given them. It does need them if one of the stream's entries is
 * contested: the page may be the one with which that is resolved.
 *
 * @param first the stream's first pending entries, in the order of `seq`: at least those of which the page has events
 * @param arrived the stream's events of one page of the feed, in version order
 */
export function confirmsOnly(first: readonly PendingEntry[], arrived: readonly ArrivedEvent[]): boolean {
  if (arrived.length === 0) return false;
  const own = first.flatMap((entry) => numbered(entry).slice(entry.confirmed));
  return arrived.every((received, i) => {
    const expected = own[i];
    return expected?.id === received.id && expected.version === received.version && sameContent(received, expected);
  });
}

/**
 * Whether others' events came before an entry and no rule has resolved it yet. Its first version has moved, and it still expects the version
 * after which those events came. So the edge can't store it, and says whether it has it already.
 */
export function isHeld({ expectedVersion, firstVersion, confirmed }: PendingEntry): boolean {
  const believed = exactVersion(expectedVersion);
  return believed !== undefined && believed < firstVersion - 1 && confirmed === 0;
}

function numbered({ events, firstVersion }: Pick<PendingEntry, "events" | "firstVersion">): (EventBody & { readonly version: Version })[] {
  return events.map((event, i) => ({ ...event, version: toVersion(firstVersion + i) }));
}

/** The entry on another first version; the same object if nothing changes. */
export function placed(entry: PendingEntry, firstVersion: Version, confirmed: number): PendingEntry {
  return entry.firstVersion === firstVersion && entry.confirmed === confirmed ? entry : { ...entry, firstVersion, confirmed };
}

/** The entry after the events of others, as if it had been appended there. */
function rebased(entry: PendingEntry, firstVersion: Version, events = entry.events): PendingEntry {
  return { ...entry, expectedVersion: firstVersion - 1, events, firstVersion, confirmed: 0 };
}

type Arrival =
  | { readonly kind: "none" }
  | { readonly kind: "whole" }
  /** The edge has decided its command otherwise. A page may end within those events: the others are in the next one. */
  | { readonly kind: "decided" }
  /** The page ends within the commit. The edge stores a commit as a whole, so the rest is at the beginning of the next page. */
  | { readonly kind: "begun"; readonly firstVersion: Version; readonly confirmed: number }
  /** An id of the entry belongs to an event with other content, or to an event of another commit. */
  | { readonly kind: "reused"; readonly eventId: string };

/** How much of an entry has arrived. Its own events are those with its ids and content, on consecutive versions and in its order. */
function arrivalOf(entry: PendingEntry, byId: ReadonlyMap<string, ArrivedEvent>, lastVersion: Version): Arrival {
  const { events, command } = entry;
  const [first] = events;
  assert(first !== undefined, "a commit has at least one event");
  const firstVersion = entry.confirmed > 0 ? entry.firstVersion : (byId.get(first.id)?.version ?? lastVersion + 1);
  let confirmed = entry.confirmed;
  for (const own of events.slice(confirmed)) {
    const received = byId.get(own.id);
    if (received === undefined || received.version !== firstVersion + confirmed || !sameContent(received, own)) break;
    confirmed++;
  }
  if (confirmed === events.length) return { kind: "whole" };
  // What has its own ids is its own, also if another commit was decided for the same command before.
  if (confirmed === 0 && command !== undefined && isDecided(command.id, events, byId)) return { kind: "decided" };
  const elsewhere = events.slice(confirmed).find((own) => byId.has(own.id));
  if (elsewhere !== undefined) return { kind: "reused", eventId: elsewhere.id };
  if (confirmed === 0) return { kind: "none" };
  return firstVersion + confirmed > lastVersion
    ? { kind: "begun", firstVersion: toVersion(firstVersion), confirmed }
    : { kind: "reused", eventId: first.id };
}

/** Whether events that were recorded for a command have arrived, and none of an entry's own. */
function isDecided(commandId: string, events: readonly EventBody[], byId: ReadonlyMap<string, ArrivedEvent>): boolean {
  if (events.some(({ id }) => byId.has(id))) return false;
  for (const event of byId.values()) if (commandIdOf(event) === commandId) return true;
  return false;
}

/**
 * The parked entries that the edge has stored after all: a request with the entry was under way when it was parked, or an app sent
 * its events in another way. These entries are no longer parked. The edge stores a commit as a whole. So a commit has arrived if its last
 * event has, and the events before that one in the page are the commit's other events. A page may begin within the commit.
 *
 * @param parked the stream's parked entries
 * @param arrived the stream's events of one page, in version order
 */
export function arrivedAfterAll(parked: readonly ParkedEntry[], arrived: readonly ArrivedEvent[]): readonly ParkedEntry[] {
  return parked.filter(({ events, command }) => {
    if (command !== undefined && arrived.some((event) => commandIdOf(event) === command.id)) return true;
    const first = arrived.findIndex(({ id }) => id === events.at(-1)?.id) - events.length + 1;
    if (first + events.length === 0) return false;
    return events.every((own, i) => {
      const received = arrived[first + i];
      return first + i < 0 || (received?.id === own.id && sameContent(received, own));
    });
  });
}

export function park(entry: PendingEntry, reason: ParkReason): ParkedEntry {
  const { seq, streamId, expectedVersion, events, command } = entry;
  return { state: "parked", seq, streamId, expectedVersion, events, command, reason };
}

export function conflictReason(expected: ExpectedVersion, actual: Version): ParkReason {
  return {
    code: "version-conflict",
    // The version number may be the expected one, although the events before it are others'.
    message: expected === actual ? `Others appended first; the stream is at version ${actual}.` : conflictMessage(expected, actual),
    actualVersion: actual,
  };
}

/**
 * The reason for parking a commit that was made on top of a parked one. If the command of that one was refused, this one was not: it lacks what
 * it was made on.
 *
 * @param reason of that one
 */
export function behind({ refusal: _, ...reason }: ParkReason): ParkReason {
  const code = reason.code === "command-refused" ? "version-conflict" : reason.code;
  return { ...reason, code, message: `An earlier commit to the stream is parked. ${reason.message}` };
}

/**
 * Compares a stream's parked entries with a new commit that can be appended. If the commit contains the events of a parked entry again,
 * it supersedes this entry, which leaves the outbox with the append. If it uses an id of a parked entry for another event, it is refused.
 *
 * @param events of the new commit
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
  /** The parked entries that leave the outbox with the append. */
  readonly gone: readonly ParkedEntry[];
}
