/** A measurement and its baseline: both take turns for several rounds, and the result is the ratio of their medians. */
export interface Measurement {
  readonly name: string;
  /** What the baseline does. */
  readonly baseline: string;
  /** Units of work in one round. A rate is this count divided by the time. */
  readonly count: number;
  readonly unit: string;
  /** Milliseconds of each round. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/** Runs one round of a side, and returns its milliseconds. */
export type Round = () => Promise<number>;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Runs both sides in turn, so that a machine that gets slower slows both. The first round of each side is not counted. */
export async function compare(facts: Omit<Measurement, "ours" | "theirs">, ours: Round, theirs: Round, rounds = 5): Promise<Measurement> {
  const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  for (let round = 0; round <= rounds; round++) {
    const [own, other] = [await ours(), await theirs()];
    if (round === 0) continue;
    times.ours.push(own);
    times.theirs.push(other);
  }
  return { ...facts, ...times };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param part from 0 to 1 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Above 1 means faster than the baseline. */
export function ratio({ ours, theirs }: Measurement): number {
  return median(theirs) / median(ours);
}
