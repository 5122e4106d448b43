/**
 * Changes of the outbox that an app requests: a reset, which discards the history that commits were made on, a handover to another database,
 * and the rebase of a parked commit. What sync does with the outbox by itself is in `outbox.ts`.
 */
import { type AppendDecision, decideAppend, type StreamFacts, sameContent } from "../append.ts";
import type { EventBody } from "../event/event.ts";
import { exactVersion } from "../expected-version.ts";
import { NO_STREAM, toVersion } from "../order.ts";
import { behind, lastVersionOf, type OutboxEntry, type ParkedEntry, type ParkReason, type PendingEntry, park, placed } from "./outbox.ts";

const RESET = "The store was reset";

/**
 * A stream's pending entries after the device has discarded the history that they were made on. Entries that depend only on each other stay
 * as they are. Entries without an exact expectation move to the beginning. The others are parked.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param from the version that the stream has without them
 */
export function detach(entries: readonly PendingEntry[], from = NO_STREAM, why = RESET): readonly OutboxEntry[] {
  let next = from;
  let parked: ParkReason | undefined;
  return entries.map((entry) => {
    const believed = exactVersion(entry.expectedVersion);
    if (parked !== undefined) return park(entry, behind(parked));
    if (believed !== undefined && believed !== next) {
      parked = {
        code: "log-mismatch",
        message: `${why}, and this commit builds on events that are not here.`,
        actualVersion: from,
      };
      return park(entry, parked);
    }
    const moved = placed(entry, toVersion(next + 1), 0);
    next = lastVersionOf(moved);
    return moved;
  });
}

/**
 * Of commits that come from another database of the device, those that this one does not hold. The other may have sent a commit whose answer
 * it never got, and this one may have got the events from the feed since: they would be pending here for ever.
 *
 * One event of a commit decides. The edge records a commit as a whole, so the feed brings the rest of it.
 *
 * @param entries pending and parked ones of one stream
 * @param recorded the stream's events that have an id of one of the entries' events, by id
 * @param commands the ids of those commands of the entries for which the stream has confirmed events
 */
export function notHeld<E extends Pick<PendingEntry, "events" | "command">>(
  entries: readonly E[],
  recorded: ReadonlyMap<string, EventBody>,
  commands: ReadonlySet<string>,
): readonly E[] {
  const isHeld = (event: EventBody) => {
    const same = recorded.get(event.id);
    return same !== undefined && sameContent(same, event);
  };
  return entries.filter(({ events, command }) => !events.some(isHeld) && (command === undefined || !commands.has(command.id)));
}

/** The result of rebasing a parked entry. */
export type Rebase =
  | { readonly kind: "rebased"; readonly entry: PendingEntry }
  /** The stream has its events already; or it has other events with their ids, and the entry stays parked. */
  | Exclude<AppendDecision, { kind: "append" }>;

/**
 * Moves a parked entry after everything that its stream has now. The entry is pending again, at the end of the outbox.
 *
 * An entry that `detach` parked may be at the edge already, before events that the device has not fetched yet. With an exact
 * expectation it would be decided again on those events, and events that a rule puts in its place would be recorded in addition to it.
 * So such an entry expects `"any"` version.
 *
 * @param seq the next free place of the outbox
 * @param facts of the stream, including its pending entries
 */
export function rebaseParked(entry: ParkedEntry, seq: number, facts: StreamFacts): Rebase {
  const { streamId, events, expectedVersion, reason, command } = entry;
  const decision = decideAppend(facts, { streamId, events, expectedVersion: "any" });
  if (decision.kind !== "append") return decision;
  const believed = exactVersion(expectedVersion) === undefined ? expectedVersion : facts.version;
  return {
    kind: "rebased",
    entry: {
      state: "pending",
      seq,
      streamId,
      expectedVersion: reason.code === "log-mismatch" ? "any" : believed,
      events,
      command,
      firstVersion: decision.firstVersion,
      confirmed: 0,
    },
  };
}
