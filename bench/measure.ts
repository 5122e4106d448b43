/** A measurement beside its baseline: both in turn, several rounds, and the ratio of their medians. */
export interface Measurement {
  readonly name: string;
  /** What the baseline does. */
  readonly baseline: string;
  /** Units of work in one round; a rate is this over the time. */
  readonly count: number;
  readonly unit: string;
  /** Milliseconds of each round. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/** One round of a side, in milliseconds. */
export type Round = () => Promise<number>;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The two sides in turn, so that a machine that slows down slows both; the first round of each is not counted. */
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

/** Above 1: faster than the baseline. */
export function ratio({ ours, theirs }: Measurement): number {
  return median(theirs) / median(ours);
}
