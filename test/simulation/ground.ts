/** What every part of a world uses. */
import type { Observation } from "./checkers/observation.ts";
import type { Faults } from "./faults.ts";
import type { Params } from "./params.ts";
import type { Random } from "./random.ts";
import type { Rules } from "./rules.ts";
import type { Scheduler } from "./scheduler.ts";

export interface Ground {
  readonly params: Params;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly rules: Rules;
  /** Chance and faults of what only derives from events: how it goes changes nothing for all others. */
  readonly beside: { readonly random: Random; readonly faults: Faults };
  /** Tells the checkers. */
  observe(observation: Observation): void;
  /** A line of the world's story; put together only where somebody reads it. */
  tell(line: () => string): void;
  /** Raised when an operator puts other data in the place of what there was: whatever ran at the edge ran before. */
  epoch(): number;
  /** Counts something that is worth knowing of a run. */
  count(what: string, times?: number): void;
}

/** The same ground for a part of the world that draws by itself: how it goes changes nothing for all others. */
export function apart(ground: Ground, random: Random, faults: Faults): Ground {
  const { params, scheduler, rules } = ground;
  return {
    params,
    scheduler,
    random,
    faults,
    rules,
    beside: { random, faults },
    observe: (observation) => ground.observe(observation),
    tell: (line) => ground.tell(line),
    epoch: () => ground.epoch(),
    count: (what, times) => ground.count(what, times),
  };
}

/** A time as clocks write it. */
export function timeAt(milliseconds: number): string {
  return new Date(EPOCH + milliseconds).toISOString();
}

/** Where virtual time begins, by clocks that are right. */
export const EPOCH = Date.UTC(2026, 0, 1);
