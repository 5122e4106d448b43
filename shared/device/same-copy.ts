/**
 * Whether data that was derived from a device's copy of the log can be continued from the current copy.
 *
 *     copy 7: #1 … #90 ── reset ──► copy 8: #1 … #90 … #120     the same log, or a restored one with other events at these positions
 *          └── the database is gone, and another is begun ──► copy 3104
 */
import { NEW_REPLICA, type Replica } from "./replica.ts";

/** The replica after a reset: the copy of the log is discarded, and is fetched again from the beginning. */
export function emptyReplica({ authority, resets, scope }: Replica): Replica {
  return { ...NEW_REPLICA, authority, resets: resets + 1, scope };
}

/**
 * The number of the first copy of a database. It is made of the database's id: what a tab has derived from a database that is gone is of
 * another copy than what the next one has.
 *
 * @param database the id: a UUID
 */
export function firstCopyOf(database: string): number {
  return Number.parseInt(database.slice(0, 8), 16);
}

/** Whether both are of the same copy of the log. If so, an event that was at a position is still there. */
export function isSameCopy(before: Pick<Replica, "resets">, now: Pick<Replica, "resets">): boolean {
  return before.resets === now.resets;
}
