/** Times, rounds and quantiles. */

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

/** One of those that do the same job. */
export interface Contestant {
  readonly name: string;
  readonly round: Round;
}

export interface Side {
  readonly name: string;
  /** Milliseconds of each round that counts. */
  readonly times: readonly number[];
}

export interface Failure {
  readonly name: string;
  readonly why: string;
}

export interface Outcome {
  readonly sides: readonly Side[];
  /** Sides that can't do the job here. */
  readonly failures: readonly Failure[];
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Does some of the work of a part, and says how long it took. */
export async function said<T>(say: (line: string) => void, what: string, work: Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work;
  say(`${what}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return result;
}

/**
 * Runs all sides in each round, so that a machine that gets slower slows all of them. The first round is not counted. The order changes from
 * round to round, so that no side always runs behind the same one, whose writes may still go on. A side that fails is left out from then on.
 */
export async function interleaved(contestants: readonly Contestant[], rounds: number): Promise<Outcome> {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  const failures: Failure[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const { name, round: runRound } of inOrderOf(round, contestants)) {
      if (failures.some((failure) => failure.name === name)) continue;
      try {
        const time = await runRound();
        if (round > 0) times.get(name)?.push(Math.round(time * 1000) / 1000);
      } catch (error) {
        failures.push({ name, why: messageOf(error) });
        times.delete(name);
      }
    }
  }
  return { sides: [...times].map(([name, own]) => ({ name, times: own })), failures };
}

/** Each round begins with another one, and every second round goes backwards. */
export function inOrderOf<T>(round: number, items: readonly T[]): T[] {
  const begin = items.length === 0 ? 0 : round % items.length;
  const turned = [...items.slice(begin), ...items.slice(0, begin)];
  return round % 2 === 0 ? turned : turned.reverse();
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

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
}
