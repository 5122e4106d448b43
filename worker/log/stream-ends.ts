/** Where the rows of a stream end in the log: read by the index, and no more of them than a page needs. */
import type { LogRuns, RowEnd } from "./log-runs.ts";

/** Ends that are read at once, at most. At first it is one, and then twice as many each time. */
const ENDS = 256;

/** The ends from the first that has events after a position on. */
export class StreamEnds {
  readonly #runs: LogRuns;
  readonly #streamId: string;
  #version: number;
  #ends: RowEnd[] = [];
  #next = 0;
  #batch = 1;
  #isAll = false;

  constructor(runs: LogRuns, streamId: string, after: number) {
    this.#runs = runs;
    this.#streamId = streamId;
    this.#version = runs.versionBy(streamId, after);
  }

  /** The position of the next end; infinite if there is none. */
  peek(): number {
    if (this.#next === this.#ends.length && !this.#isAll) {
      this.#ends = this.#runs.endsOf(this.#streamId, this.#version, this.#batch);
      this.#next = 0;
      this.#isAll = this.#ends.length < this.#batch;
      this.#version = this.#ends.at(-1)?.last_version ?? this.#version;
      this.#batch = Math.min(2 * this.#batch, ENDS);
    }
    return this.#ends[this.#next]?.last_position ?? Number.POSITIVE_INFINITY;
  }

  take(): void {
    this.#next++;
  }
}

/** Of all streams, the one whose next row ends first; undefined if none has a row. */
export function firstOf(all: readonly StreamEnds[]): [first: StreamEnds | undefined, end: number] {
  let first: StreamEnds | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const ends of all) {
    const end = ends.peek();
    if (end >= least) continue;
    least = end;
    first = ends;
  }
  return [first, least];
}
