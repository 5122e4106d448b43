/** Worlds that failed in the past, and some new ones. `npm run simulate` runs as many as you like. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { SEED } from "../support/seed.ts";
import { paramsOf } from "./params.ts";
import { runWorld } from "./run.ts";
import type { Regression } from "./shrink.ts";
import { addReport, newTally } from "./tally.ts";

const FOLDER = new URL("./regressions/", import.meta.url);
const WORLDS = 500;

// Milliseconds: worlds are computed, and a busy machine takes its time.
vi.setConfig({ testTimeout: 300_000 });

for (const name of readdirSync(FOLDER)) {
  const { note, params }: Regression = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  test(`what failed once does not fail again: ${note}`, () => {
    expect(runWorld(params).failure).toBeUndefined();
  });
}

test(`history check: ${WORLDS} worlds keep every promise`, () => {
  const tally = newTally();
  for (let seed = SEED; seed < SEED + WORLDS; seed++) addReport(tally, seed, runWorld(paramsOf(seed)));
  const told = tally.failed.map(({ seed, by, message }) => `npm run simulate -- --seed ${seed} --runs 1 --trace: ${by}: ${message}`);
  expect(told).toEqual([]);
  const idle = Object.entries(tally.checked).filter(([, checked]) => checked === 0);
  expect(idle, "every checker has something to check").toEqual([]);
});

test("a seed makes one world, step by step", () => {
  const story = (): string[] => {
    const lines: string[] = [];
    runWorld(paramsOf(SEED), undefined, (line) => lines.push(line));
    return lines;
  };
  expect(story()).toEqual(story());
});
