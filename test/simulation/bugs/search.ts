/** The search for deliberate bugs. Which seed found a bug last is written down in `found.json`, so that it is tried first. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Pool } from "../pool.ts";
import { BUGS, type Bug } from "./index.ts";

const FOUND = new URL("./found.json", import.meta.url);

export interface Search {
  readonly bug: Bug;
  readonly seed: number | undefined;
  /** Other checkers, by how often they caught something. */
  readonly others: Readonly<Record<string, number>>;
}

/** Tries the seed that found the bug last, then all from 1 to `within`. */
export async function searchBug(pool: Pool, bug: Bug, within: number): Promise<Search> {
  const last = readFound()[bug.name];
  const all = Array.from({ length: within }, (_, i) => i + 1);
  return { bug, ...(await pool.run({ kind: "bug", name: bug.name, seeds: last === undefined ? all : [last, ...all] })) };
}

/**
 * Searches all bugs from seed 1 on, and writes down which seeds found them.
 *
 * @param onSearch called with each as it comes in
 */
export async function searchAll(pool: Pool, within: number, onSearch: (search: Search) => void): Promise<readonly Search[]> {
  const seeds = Array.from({ length: within }, (_, i) => i + 1);
  const searches = await Promise.all(
    BUGS.map(async (bug) => {
      const search = { bug, ...(await pool.run({ kind: "bug", name: bug.name, seeds })) };
      onSearch(search);
      return search;
    }),
  );
  const found = searches.flatMap(({ bug, seed }) => (seed === undefined ? [] : [[bug.name, seed] as const]));
  writeFileSync(FOUND, `${JSON.stringify(Object.fromEntries(found), null, 2)}\n`);
  return searches;
}

function readFound(): Readonly<Record<string, number>> {
  return JSON.parse(readFileSync(FOUND, "utf8"));
}
