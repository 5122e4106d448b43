/**
 * Whether what was derived from a device's copy of the log still goes on from it.
 *
 *     copy 0: #1 … #90 ── reset ──► copy 1: #1 … #90 … #120     the same log, or one that was restored and has other events there
 */
import { NEW_REPLICA, type Replica } from "./replica.ts";

/** The history once the copy is let go of: it is fetched again from the beginning. */
export function emptyReplica({ authority, resets, scope }: Replica): Replica {
  return { ...NEW_REPLICA, authority, resets: resets + 1, scope };
}

/** Both are of one copy: what stood at a position stands there still. */
export function isSameCopy(before: Pick<Replica, "resets">, now: Pick<Replica, "resets">): boolean {
  return before.resets === now.resets;
}
