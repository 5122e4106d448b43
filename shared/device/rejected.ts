/** What happens to the outbox when the edge rejects commits of a stream, or refuses their commands. */
import { exactVersion } from "../expected-version.ts";
import { toVersion } from "../order.ts";
import { behind, lastVersionOf, type OutboxEntry, type ParkReason, type PendingEntry, park, placed } from "./outbox.ts";
import type { Refused } from "./push.ts";

/**
 * Parks the entries of a stream that the edge rejected or refused in one push. If an entry has moved since it was sent, the edge's answer is about
 * an expectation that the entry no longer has, and it stays.
 *
 * - Rejected: every later entry is parked with it, because these were made on top of it.
 * - Its command was refused: later entries with commands move into its place, because the edge decides each on the truth, and not on what was
 *   expected of the one before. The first later entry without a command is parked, and all behind that one.
 *
 * @param entries all pending entries of the stream, in the order of `seq`
 * @param refused those of the stream, as they were sent
 * @returns the entries that are parked or have moved
 */
export function parkRefused(entries: readonly PendingEntry[], refused: readonly Refused[]): readonly OutboxEntry[] {
  const answers = new Map(refused.map((answer) => [answer.entry.seq, answer]));
  const changed: OutboxEntry[] = [];
  /** Why the entry before is gone; undefined if none is. */
  let gone: ParkReason | undefined;
  let isBroken = false;
  let next = 0;
  for (const entry of entries) {
    const answer = answers.get(entry.seq);
    const isAnswered = answer !== undefined && answer.entry.expectedVersion === entry.expectedVersion;
    if (isAnswered && (!isBroken || answer.isAlone)) {
      changed.push(park(entry, answer.reason));
      if (gone === undefined) next = entry.firstVersion;
      if (!isBroken) gone = answer.reason;
      isBroken ||= !answer.isAlone;
    } else if (gone !== undefined) {
      isBroken ||= entry.command === undefined;
      if (isBroken) {
        changed.push(park(entry, behind(gone)));
        continue;
      }
      const believed = exactVersion(entry.expectedVersion) === undefined ? entry.expectedVersion : next - 1;
      const moved = { ...placed(entry, toVersion(next), 0), expectedVersion: believed };
      next = lastVersionOf(moved) + 1;
      changed.push(moved);
    }
  }
  return changed;
}
