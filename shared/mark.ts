/**
 * A mark is a digest of a log's history up to a position. Each mark is made of the previous mark and the next event's id:
 *
 *     START_MARK ── id of #1 ──► mark at 1 ── id of #2 ──► mark at 2 ──► …
 *
 * If two histories differ anywhere up to a position, their marks at that position differ. The log id is not enough for this. A log that
 * is restored from an older copy keeps its id, but it has another history after it has grown again.
 *
 * What it does not do: resist somebody who constructs a history for a given mark. It detects accidents. The edge is the authority
 * over its own log anyway, and could claim anything. A mark does not reveal event ids either: a UUID is twice as long.
 */
import { assert } from "./assert.ts";
import { digits, mixed } from "./bits.ts";

/** The mark at position 0, before any event. */
export const START_MARK = "0000000000000000";

/**
 * The mark one position later: 16 hexadecimal digits in lower case. From one mark, two different ids give the same next mark as
 * rarely as a coin falls on the same side 64 times in a row. Two different marks never give the same next mark with the same id. So
 * two histories that differ once keep different marks, no matter how many equal events follow.
 */
export function nextMark(mark: string, eventId: string): string {
  return markAfter(mark, [eventId]);
}

/** The mark after several more events, given in the order of their positions. */
export function markAfter(mark: string, eventIds: readonly string[]): string {
  assert(isMark(mark), "a mark has 16 hexadecimal digits");
  // Two lanes of 32 bits. Each line can be undone if the character and the other lane are known, so two marks never become one.
  let high = Number.parseInt(mark.slice(0, 8), 16);
  let low = Number.parseInt(mark.slice(8), 16);
  for (const id of eventIds) {
    for (let i = 0; i < id.length; i++) {
      high = rotated(Math.imul(high ^ id.charCodeAt(i), 0x9e3779b1), 15) + low;
      low = rotated(Math.imul(low ^ high, 0x85ebca77), 13);
    }
    high = mixed(high ^ mixed(low));
    low = mixed(low ^ mixed(high));
  }
  return digits(high) + digits(low);
}

/** Whether a text that came from somewhere else can be a mark. */
export function isMark(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** The digest of a set of events after one more event. The order of the events does not matter. The empty set has `NO_EVENTS`. */
export function withEvent(digest: string, eventId: string): string {
  const sum = BigInt(`0x${digest}`) ^ BigInt(`0x${nextMark(START_MARK, eventId)}`);
  return sum.toString(16).padStart(16, "0");
}

export const NO_EVENTS = START_MARK;

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
