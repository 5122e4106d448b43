/**
 * Whether what was derived from a device's copy of the log still goes on from it.
 *
 *     copy 0: #1 … #90 ── reset ──► copy 1: #1 … #90 … #120     the same log, or one that was restored and has other events there
 */
import { type History, NEW_HISTORY } from "./replica.ts";

/** The history once the copy is let go of: it is fetched again from the beginning. */
export function begunAnew({ authority, resets, scope }: History): History {
  return { ...NEW_HISTORY, authority, resets: resets + 1, scope };
}

/** Both are of one copy: what stood at a position stands there still. */
export function isContinued(before: Pick<History, "resets">, now: Pick<History, "resets">): boolean {
  return before.resets === now.resets;
}
