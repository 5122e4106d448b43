/** Worlds that failed in the past, some that did not, and some that are new each time. `npm run simulate` runs as many as you like. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, expect, test, vi } from "vitest";
import { SEED } from "../support/seed.ts";
import { FAULT_NAMES } from "./faults.ts";
import { Pool, seedsFrom } from "./pool.ts";
import type { Regression } from "./shrink.ts";
import { addTally, newTally } from "./tally.ts";

const FOLDER = new URL("./regressions/", import.meta.url);
/**
 * Worlds that were clean before: what fails there, a change has broken. The first sixty, and some that have the faults which few others have:
 * if a fault happens in none of them any more, look for a seed that has it.
 */
const RARE = [77, 84, 106, 124, 127, 138, 145, 155, 204, 251, 326, 394, 422, 432, 485, 496, 604, 605, 618, 623];
const KNOWN = [...seedsFrom(1, 60), ...RARE];
/** Worlds that nobody has seen. Their storage keeps what was written: where it fails, about one world in a hundred still shows a fault. */
const FRESH = 50;

// Milliseconds: worlds are computed, and a busy machine takes its time.
vi.setConfig({ testTimeout: 300_000 });

const pool = new Pool();
afterAll(() => pool.end());

for (const name of readdirSync(FOLDER)) {
  const { note, params }: Regression = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  test(`what failed once does not fail again: ${note}`, async () => {
    expect((await pool.run({ kind: "world", params })).failure).toBeUndefined();
  });
}

test(`history check: ${KNOWN.length} known and ${FRESH} fresh worlds keep every promise, and a seed makes one world`, async () => {
  const tally = newTally();
  for (const part of await Promise.all([pool.seeds(KNOWN, "fails"), pool.seeds(seedsFrom(SEED, FRESH), "keeps")])) addTally(tally, part);
  const told = tally.failed.map(
    ({ seed, by, message }) =>
      `npm run simulate -- --seed ${seed} --runs 1 --storage ${KNOWN.includes(seed) ? "fails" : "keeps"} --trace: ${by}: ${message}`,
  );
  expect(told).toEqual([]);
  expect(tally.repeated).toBeGreaterThan(0);
  expect(
    FAULT_NAMES.filter((fault) => !tally.faults[fault]),
    "every fault happens",
  ).toEqual([]);
  const idle = Object.entries(tally.checked).filter(([, checked]) => checked === 0);
  expect(idle, "every checker has something to check").toEqual([]);
});
