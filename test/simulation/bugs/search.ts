/** The search for deliberate bugs. Which seed found a bug last is written down in `found.json`, so that it is tried first. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Pool, seedsFrom } from "../pool.ts";
import type { BugJob } from "../worker.ts";
import { BUGS, type Bug } from "./index.ts";

const FOUND = new URL("./found.json", import.meta.url);
const found: Readonly<Record<string, number>> = JSON.parse(readFileSync(FOUND, "utf8"));

export interface Search {
  readonly bug: Bug;
  readonly seed: number | undefined;
  /** Other checkers, by how often they caught something. */
  readonly others: Readonly<Record<string, number>>;
}

/** Worlds of a bug that a thread runs before the search looks whether another has found it. */
const SLICE = 5;

/**
 * Tries the seed that found the bug last, then all from 1 to `within`, with all threads.
 *
 * @param isTrusted whether the world of the last seed is taken to keep every promise without the bug, as it did when it was written down.
 * Default: this is checked, as for all others
 */
export async function searchBug(pool: Pool, bug: Bug, within: number, isTrusted = false): Promise<Search> {
  const last = found[bug.name];
  const others: Record<string, number> = {};
  let seed = last === undefined ? undefined : await search(pool, { name: bug.name, seeds: [last], isTrusted }, others);
  const wave = SLICE * pool.threads;
  for (let first = 1; seed === undefined && first <= within; first += wave) {
    const seeds = seedsFrom(first, Math.min(wave, within - first + 1));
    const slices = Array.from({ length: pool.threads }, (_, i) => seeds.slice(i * SLICE, (i + 1) * SLICE));
    seed = (await Promise.all(slices.map((slice) => search(pool, { name: bug.name, seeds: slice }, others)))).find(
      (found) => found !== undefined,
    );
  }
  return { bug, seed, others };
}

/** Tries the seed that found the bug last and all from 1 to `within`, and takes the one that catches it in the fewest steps. */
export async function searchShortest(pool: Pool, bug: Bug, within: number): Promise<Search> {
  const last = found[bug.name];
  const others: Record<string, number> = {};
  const seeds = [...(last === undefined ? [] : [last]), ...seedsFrom(1, within).filter((seed) => seed !== last)];
  return { bug, seed: await search(pool, { name: bug.name, seeds, take: "shortest" }, others), others };
}

export interface SearchOptions {
  /** Worlds in which a bug is sought, at most. */
  readonly within: number;
  /** Of their names; '' for all bugs. */
  readonly part: string;
  readonly take: BugJob["take"];
}

/**
 * Searches bugs, and writes down which seeds find them, as it finds them. Bugs that exist no more are forgotten.
 *
 * @param onSearch called with each as it comes in
 */
export async function searchAll(
  pool: Pool,
  { within, part, take }: SearchOptions,
  onSearch: (search: Search) => void,
): Promise<readonly Search[]> {
  const bugs = BUGS.filter(({ name }) => name.includes(part));
  const now = new Map<string, number | undefined>();
  return Promise.all(
    bugs.map(async (bug) => {
      const ended = await (take === "shortest" ? searchShortest : searchBug)(pool, bug, within);
      now.set(bug.name, ended.seed);
      writeFound(now);
      onSearch(ended);
      return ended;
    }),
  );
}

/** @param now the seeds of this search; undefined for a bug that it has not found */
function writeFound(now: ReadonlyMap<string, number | undefined>): void {
  const kept = BUGS.flatMap(({ name }) => {
    const seed = now.has(name) ? now.get(name) : found[name];
    return seed === undefined ? [] : [[name, seed] as const];
  });
  writeFileSync(FOUND, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
}

async function search(pool: Pool, job: Omit<BugJob, "kind">, others: Record<string, number>): Promise<number | undefined> {
  if (job.seeds.length === 0) return;
  const outcome = await pool.run({ kind: "bug", ...job });
  for (const [by, times] of Object.entries(outcome.others)) others[by] = (others[by] ?? 0) + times;
  return outcome.seed;
}
