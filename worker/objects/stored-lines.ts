/** The lines of a stream as one object stores them, for another object that lacks some: `run-text.ts` has their form. */
import { linesOf, type Run } from "./run-text.ts";

export interface StoredLines {
  /** From the version that was asked for on, without a gap; null if the version can't be read. */
  readonly lines: readonly (string | null)[];
  /** The last version that the object has. */
  readonly last: number;
}

/** Lines in one answer, at most. */
export const LINES_AT_ONCE = 5_000;
/** Characters of an answer, unless one run has more. An answer of an object has at most 32 MiB. */
const CHARACTERS = 4 * 1024 * 1024;

/**
 * @param first the version of the first line
 * @param end the version of the last line; fewer lines are returned if they do not fit
 * @param runs intact ones, in order, from the one that has `first` on
 */
export function storedLines(last: number, first: number, end: number, runs: Iterable<Run>): StoredLines {
  const lines: (string | null)[] = [];
  const most = Math.min(end, first + LINES_AT_ONCE - 1);
  let characters = 0;
  for (const { firstVersion, events } of runs) {
    if (firstVersion > most || characters >= CHARACTERS) break;
    while (first + lines.length < firstVersion) lines.push(null);
    for (const line of linesOf(events).slice(Math.max(0, first - firstVersion), most - firstVersion + 1)) lines.push(line);
    characters += events.length;
  }
  if (characters < CHARACTERS) while (first + lines.length <= most) lines.push(null);
  return { lines, last };
}
