/** The results of many worlds, added up. */
import type { Failure, Report } from "./run.ts";

export interface Failed extends Failure {
  readonly seed: number;
}

export interface Tally {
  worlds: number;
  /** Of which the digest was compared with that of a second run. */
  repeated: number;
  /** Virtual milliseconds. */
  time: number;
  steps: number;
  readonly faults: Record<string, number>;
  readonly checked: Record<string, number>;
  readonly counts: Record<string, number>;
  readonly failed: Failed[];
}

export function newTally(): Tally {
  return { worlds: 0, repeated: 0, time: 0, steps: 0, faults: {}, checked: {}, counts: {}, failed: [] };
}

export function addReport(tally: Tally, seed: number, { failure, ...report }: Report): void {
  addTally(tally, { ...report, worlds: 1, repeated: 0, failed: failure === undefined ? [] : [{ ...failure, seed }] });
}

export function addTally(tally: Tally, other: Tally | (Omit<Report, "failure"> & Pick<Tally, "worlds" | "repeated" | "failed">)): void {
  tally.worlds += other.worlds;
  tally.repeated += other.repeated;
  tally.time += other.time;
  tally.steps += other.steps;
  addCounts(tally.faults, other.faults);
  addCounts(tally.checked, other.checked);
  addCounts(tally.counts, other.counts);
  tally.failed.push(...other.failed);
}

function addCounts(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) to[name] = (to[name] ?? 0) + count;
}
