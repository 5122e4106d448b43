/**
 * Whether data that was derived from a device's copy of the log can be continued from the current copy.
 *
 *     copy 0: #1 … #90 ── reset ──► copy 1: #1 … #90 … #120     the same log, or a restored one with other events at these positions
 */
import { NEW_REPLICA, type Replica } from "./replica.ts";

/** The replica after a reset: the copy of the log is discarded, and is fetched again from the beginning. */
export function emptyReplica({ authority, resets, scope }: Replica): Replica {
  return { ...NEW_REPLICA, authority, resets: resets + 1, scope };
}

/** Whether both are of the same copy of the log. If so, an event that was at a position is still there. */
export function isSameCopy(before: Pick<Replica, "resets">, now: Pick<Replica, "resets">): boolean {
  return before.resets === now.resets;
}
