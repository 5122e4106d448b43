/** The search for deliberate bugs. Which seed found a bug last is written down in `found.json`, so that it is tried first. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Pool } from "../pool.ts";
import { BUGS, type Bug } from "./index.ts";

const FOUND = new URL("./found.json", import.meta.url);
const found: Readonly<Record<string, number>> = JSON.parse(readFileSync(FOUND, "utf8"));

export interface Search {
  readonly bug: Bug;
  readonly seed: number | undefined;
  /** Other checkers, by how often they caught something. */
  readonly others: Readonly<Record<string, number>>;
}

/** Tries the seed that found the bug last, then all from 1 to `within`. */
export function searchBug(pool: Pool, bug: Bug, within: number): Promise<Search> {
  const last = found[bug.name];
  const all = seedsTo(within);
  return search(pool, bug, last === undefined ? all : [last, ...all]);
}

/**
 * Searches all bugs from seed 1 on, and writes down which seeds found them.
 *
 * @param onSearch called with each as it comes in
 */
export async function searchAll(pool: Pool, within: number, onSearch: (search: Search) => void): Promise<readonly Search[]> {
  const searches = await Promise.all(
    BUGS.map(async (bug) => {
      const ended = await search(pool, bug, seedsTo(within));
      onSearch(ended);
      return ended;
    }),
  );
  const now = searches.flatMap(({ bug, seed }) => (seed === undefined ? [] : [[bug.name, seed] as const]));
  writeFileSync(FOUND, `${JSON.stringify(Object.fromEntries(now), null, 2)}\n`);
  return searches;
}

async function search(pool: Pool, bug: Bug, seeds: readonly number[]): Promise<Search> {
  return { bug, ...(await pool.run({ kind: "bug", name: bug.name, seeds })) };
}

function seedsTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}
