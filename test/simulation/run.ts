/** Runs worlds, one for each seed, and returns their results. */
import { type Checker, Violation } from "./checkers/checker.ts";
import type { Params } from "./params.ts";
import { RULES, type Rules } from "./rules.ts";
import { NotConverged, type Story, World } from "./world.ts";

export interface Failure {
  /** Which checker, or what else it was. */
  readonly by: string;
  readonly message: string;
}

export interface Report {
  readonly failure: Failure | undefined;
  readonly faults: Readonly<Record<string, number>>;
  readonly checked: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<string, number>>;
  /** Virtual milliseconds. */
  readonly time: number;
  readonly steps: number;
}

export function runWorld(params: Params, rules: Rules = RULES, story?: Story): Report {
  const world = new World(params, rules, story);
  let failure: Failure | undefined;
  try {
    world.run();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const by = error instanceof Violation || error instanceof NotConverged ? error.checker : "broken";
    failure = { by, message: by === "broken" ? (error.stack ?? error.message) : error.message };
  }
  const { faults, checkers, counts, scheduler } = world;
  return {
    failure,
    faults: Object.fromEntries(faults.injected),
    checked: Object.fromEntries(checkers.map(({ name, checked }: Checker) => [name, checked])),
    counts: Object.assign(Object.fromEntries(counts), ...checkers.map(({ noted }) => noted)),
    time: scheduler.now,
    steps: scheduler.steps,
  };
}
