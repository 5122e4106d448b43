/**
 * A mark: a digest of a log's history up to a position. Each is made of the one before and the next event's id:
 *
 *     START_MARK ── id of #1 ──► mark at 1 ── id of #2 ──► mark at 2 ──► …
 *
 * Two histories that differ anywhere before a position differ in their marks there. That a log goes by the same id does not
 * say so much: a log that is restored from an older copy keeps its id, and has another history once it has grown again.
 *
 * What it does not do: withstand somebody who makes a history for a mark. It finds accidents; over its own log the edge is the
 * authority, and could say anything. Nor does it give ids away: a UUID is twice as long.
 */
import { assert } from "./assert.ts";

/** The mark at position 0, before any event. */
export const START_MARK = "0000000000000000";

/**
 * The mark one position further on: 16 hexadecimal digits in lower case. Two ids that give the same one are as rare as a coin
 * that falls on one side 64 times. Two marks never give the same one with one id, so that histories which parted stay apart
 * however long they go on alike.
 */
export function nextMark(mark: string, eventId: string): string {
  return markAfter(mark, [eventId]);
}

/** The mark behind several events more, in the order of their positions. */
export function markAfter(mark: string, eventIds: readonly string[]): string {
  assert(/^[0-9a-f]{16}$/.test(mark), "a mark has 16 hexadecimal digits");
  // Two lanes of 32 bits. Each line can be undone by who knows the character and the other lane: no two marks fall together.
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

/** A digest of a set of events with one more: in whatever order they come, it is the same in the end. `NO_EVENTS` is that of none. */
export function withEvent(digest: string, eventId: string): string {
  const sum = BigInt(`0x${digest}`) ^ BigInt(`0x${nextMark(START_MARK, eventId)}`);
  return sum.toString(16).padStart(16, "0");
}

export const NO_EVENTS = START_MARK;

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}

/** Lets each bit of 32 decide about all of them: the finish of MurmurHash3, by Austin Appleby. */
function mixed(bits: number): number {
  let mixing = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2ae35);
  return mixing ^ (mixing >>> 16);
}

function digits(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, "0");
}
