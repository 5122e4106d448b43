/** The simulation finds every deliberate bug, and each checker finds at least one. */
import { afterAll, expect, test } from "vitest";
import { SEED } from "../support/seed.ts";
import { BUGS } from "./bugs/index.ts";
import { searchBug } from "./bugs/search.ts";
import { allCheckers } from "./checkers/index.ts";
import { Pool } from "./pool.ts";
import { Random } from "./random.ts";

/** Milliseconds: worlds are computed, and a busy machine takes its time. */
const LONGEST = 300_000;

/** The seed that found a bug last is tried first. If the product has changed, one of these does. Otherwise `npm run simulate -- --bugs` looks further. */
const WITHIN = 200;

/** Of the worlds of bugs, so many are run without the bug as well, others each time. `npm run simulate -- --bugs` runs all of them. */
const WITHOUT_BUG = 0.25;

const random = new Random(SEED, "bugs");
const pool = new Pool();
afterAll(() => pool.end());

test.concurrent.each(BUGS)(
  "$name: caught by $by",
  async (bug) => {
    expect(await searchBug(pool, bug, WITHIN, !random.chance(WITHOUT_BUG))).toMatchObject({ seed: expect.any(Number) });
  },
  LONGEST,
);

test("each checker catches one", () => {
  const catching = new Set(BUGS.map(({ by }) => by));
  expect(allCheckers().filter(({ name }) => !catching.has(name))).toEqual([]);
});
