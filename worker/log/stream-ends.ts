/**
 * Where the rows of a stream end in the log: read by the index, and no more of them than a page needs. If versions are missing between two rows,
 * the positions between them that can't be read are named too: the log lost what the stream had there.
 */
import type { Places } from "../../shared/places.ts";
import { firstPositionOf, type RowVersions } from "./log-rows.ts";
import type { LogRuns } from "./log-runs.ts";
import type { StreamPlace } from "./rows-by-stream.ts";

/** Ends that are read at once, at most. At first it is two, and then twice as many each time. */
const ENDS = 256;

/** The end of a row, or positions that can't be read. */
export interface Step {
  readonly end: number;
  readonly damaged?: Places;
}

/** The ends from the first that has events after a position on. */
export class StreamEnds {
  readonly #runs: LogRuns;
  readonly #streamId: string;
  #version: number;
  /** The end of the row before, or the position from which on the reader reads. */
  #position: number;
  #steps: Step[] = [];
  #next = 0;
  #batch = 2;
  #isAll: boolean;

  constructor(runs: LogRuns, { streamId, version, next }: StreamPlace, after: number) {
    this.#runs = runs;
    this.#streamId = streamId;
    this.#version = version;
    this.#position = after;
    this.#isAll = next === undefined;
    if (next !== undefined) this.#steps = this.#stepsTo(next);
  }

  /** Undefined if there is none. */
  peek(): Step | undefined {
    if (this.#next === this.#steps.length && !this.#isAll) {
      const rows = this.#runs.endsOf(this.#streamId, this.#version, this.#batch);
      this.#steps = rows.flatMap((row) => this.#stepsTo(row));
      this.#next = 0;
      this.#isAll = rows.length < this.#batch;
      this.#batch = Math.min(2 * this.#batch, ENDS);
    }
    return this.#steps[this.#next];
  }

  #stepsTo(row: RowVersions): Step[] {
    const { first_version, last_version, last_position: end } = row;
    const damaged = first_version > this.#version + 1 ? this.#runs.unreadable(this.#position, firstPositionOf(row) - 1) : [];
    this.#version = last_version;
    this.#position = end;
    return [...damaged.map((places) => ({ end: places.last, damaged: places })), { end }];
  }

  take(): void {
    this.#next++;
  }
}

/** Of all streams, the one whose next step ends first; undefined if all are at their ends. */
export function firstOf(all: readonly StreamEnds[]): readonly [StreamEnds, Step] | undefined {
  let first: readonly [StreamEnds, Step] | undefined;
  for (const ends of all) {
    const step = ends.peek();
    if (step !== undefined && step.end < (first?.[1].end ?? Number.POSITIVE_INFINITY)) first = [ends, step];
  }
  return first;
}
