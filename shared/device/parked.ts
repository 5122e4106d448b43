/**
 * Ways out of the outbox and back that an app asks for: letting go of the history that commits were made on, and having a parked one again.
 * What sync does with the outbox by itself is in `outbox.ts`.
 */
import { type AppendDecision, decideAppend, type StreamFacts } from "../append.ts";
import { exactVersion } from "../expected-version.ts";
import { NO_STREAM, toVersion } from "../order.ts";
import { behind, lastVersionOf, type OutboxEntry, type ParkedEntry, type ParkReason, type PendingEntry, park, placed } from "./outbox.ts";

/**
 * What becomes of a stream's pending entries when the device lets go of the history that they were made on: those that
 * build on nothing but each other stay as they are, those without an exact expectation move to the beginning, and the others are parked.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 */
export function detach(entries: readonly PendingEntry[]): readonly OutboxEntry[] {
  let next = NO_STREAM;
  let parked: ParkReason | undefined;
  return entries.map((entry) => {
    const believed = exactVersion(entry.expectedVersion);
    if (parked !== undefined) return park(entry, behind(parked));
    if (believed !== undefined && believed !== next) {
      parked = { code: "log-mismatch", message: "Its history was let go of.", actualVersion: NO_STREAM };
      return park(entry, parked);
    }
    const moved = placed(entry, toVersion(next + 1), 0);
    next = lastVersionOf(moved);
    return moved;
  });
}

/** What becomes of a parked entry that the app wants to have behind everything its stream holds now. */
export type Rebase =
  | { readonly kind: "rebased"; readonly entry: PendingEntry }
  /** The stream holds its events already; or something else by their ids, and it stays parked. */
  | Exclude<AppendDecision, { kind: "append" }>;

/**
 * A parked entry put behind everything its stream holds now: pending again, at the end of the outbox. One that `detach` has
 * parked may be at the edge already, before events that the device has yet to fetch: an exact expectation would have it decided
 * again on those, and other events of a rule in its place would be recorded beside it. So it goes behind whatever there is.
 *
 * @param seq the next free place of the outbox
 * @param facts of the stream, pending entries included
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
