/** What every part of a world uses. */
import type { Observation } from "./checkers/observation.ts";
import type { Faults } from "./faults.ts";
import type { Params } from "./params.ts";
import type { Product } from "./platform/bundle.ts";
import type { Scheduler } from "./platform/scheduler.ts";
import type { Random } from "./random.ts";

export interface Ground {
  readonly params: Params;
  readonly product: Product;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  /** Reports to the checkers. */
  observe(observation: Observation): void;
  /** A line of the world's story; it is put together only if somebody reads it. */
  tell(line: () => string): void;
  /** Adds to the digest of all traffic, which is the same for the same seed. */
  record(traffic: string): void;
  /** Counts something that is worth knowing of a run. */
  count(what: string, times?: number): void;
}

/** The same ground for a part of the world with randomness of its own: what it draws changes nothing for the others. */
export function apart(ground: Ground, name: string): Ground {
  const { params, product, scheduler } = ground;
  return {
    params,
    product,
    scheduler,
    random: ground.random.fork(name),
    faults: ground.faults.beside(ground.random.fork(`${name} faults`)),
    observe: (observation) => ground.observe(observation),
    tell: (line) => ground.tell(line),
    record: (traffic) => ground.record(traffic),
    count: (what, times) => ground.count(what, times),
  };
}

/** Where virtual time begins, by clocks that are right. */
export const EPOCH = Date.UTC(2026, 0, 1);

/** A time as clocks write it. */
export function timeAt(milliseconds: number): string {
  return new Date(EPOCH + milliseconds).toISOString();
}
