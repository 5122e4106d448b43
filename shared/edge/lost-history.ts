/**
 * Whether a log still has the history that it once had. The log can't know by itself that rows at its end are lost, or that it was deleted or
 * put back to an older copy: an object beside it remembers how far the log has reached.
 *
 *     remembered   #5, mark m             log: #7, mark m at 5    the same history, and more
 *                                         log: #4                 lost: its end is gone
 *                                         log: #7, mark n at 5    lost: it was put back, and has grown again
 *
 * Marks are made of the ids of events, in their order. So a log of another id that was filled again, with the same events in the same order,
 * has lost nothing.
 *
 * What it does not do: say what was lost. The streams and a backup know that.
 */
import type { LogEnd } from "./subscription.ts";

/**
 * The end of the history that the log once had and has no more, which is the remembered one; null if it has it, undefined if it can't be compared,
 * because the log is damaged there.
 *
 * @param head the log's
 * @param markAt the log's mark at a position up to its head; undefined if it can't be read there
 */
export function lostHistory(
  remembered: LogEnd | null,
  head: number,
  markAt: (position: number) => string | undefined,
): LogEnd | null | undefined {
  if (remembered === null) return null;
  if (remembered.head > head) return remembered;
  const mark = markAt(remembered.head);
  if (mark === undefined) return undefined;
  return mark === remembered.mark ? null : remembered;
}

/** Whether two ends are of the same history, and equally far. */
export function isSameEnd(one: LogEnd | null, other: LogEnd | null): boolean {
  return one?.log === other?.log && one?.head === other?.head && one?.mark === other?.mark;
}
