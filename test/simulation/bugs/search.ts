/** The search for deliberate bugs. Which seed found a bug last is written down in `found.json`, so that it is tried first. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Pool, seedsFrom } from "../pool.ts";
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

/** Tries the seed that found the bug last, then all from 1 to `within`, with all threads. */
export async function searchBug(pool: Pool, bug: Bug, within: number): Promise<Search> {
  const last = found[bug.name];
  const others: Record<string, number> = {};
  let seed = last === undefined ? undefined : await search(pool, bug, [last], others);
  const wave = SLICE * pool.threads;
  for (let first = 1; seed === undefined && first <= within; first += wave) {
    const seeds = seedsFrom(first, Math.min(wave, within - first + 1));
    const slices = Array.from({ length: pool.threads }, (_, i) => seeds.slice(i * SLICE, (i + 1) * SLICE));
    seed = (await Promise.all(slices.map((slice) => search(pool, bug, slice, others)))).find((found) => found !== undefined);
  }
  return { bug, seed, others };
}

/**
 * Searches bugs, and writes down which seeds find them, as it finds them. Bugs that exist no more are forgotten.
 *
 * @param part of their names; '' for all bugs
 * @param onSearch called with each as it comes in
 */
export async function searchAll(pool: Pool, within: number, part: string, onSearch: (search: Search) => void): Promise<readonly Search[]> {
  const bugs = BUGS.filter(({ name }) => name.includes(part));
  const now = new Map<string, number | undefined>();
  return Promise.all(
    bugs.map(async (bug) => {
      const ended = await searchBug(pool, bug, within);
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

async function search(pool: Pool, bug: Bug, seeds: readonly number[], others: Record<string, number>): Promise<number | undefined> {
  if (seeds.length === 0) return;
  const outcome = await pool.run({ kind: "bug", name: bug.name, seeds });
  for (const [by, times] of Object.entries(outcome.others)) others[by] = (others[by] ?? 0) + times;
  return outcome.seed;
}
