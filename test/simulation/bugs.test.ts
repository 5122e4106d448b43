/** The simulation finds every deliberate bug, and each checker finds at least one. */
import { expect, test } from "vitest";
import { BUGS, type Bug } from "./bugs.ts";
import { allCheckers } from "./checkers/index.ts";
import { paramsOf } from "./params.ts";
import { RULES } from "./rules.ts";
import { runWorld } from "./run.ts";

function worldsUntilCaught({ rules, world, within, by }: Bug): number | undefined {
  for (let seed = 1; seed <= within; seed++) {
    if (runWorld({ ...paramsOf(seed), ...world }, { ...RULES, ...rules }).failure?.by === by) return seed;
  }
  return undefined;
}

/** Milliseconds: worlds are computed, and a busy machine takes its time. */
const LONGEST = 300_000;

test.each(BUGS)(
  "$name: caught by $by",
  (bug) => {
    expect(worldsUntilCaught(bug)).toBeDefined();
  },
  LONGEST,
);

test("each checker catches one", () => {
  const catching = new Set(BUGS.map(({ by }) => by));
  expect(allCheckers().filter(({ name }) => !catching.has(name))).toEqual([]);
});
