/** A deliberate bug: patches of the product's source, such as a tired colleague could write. */
import type { Params } from "../params.ts";
import type { Patch } from "../platform/patches.ts";

export interface Bug {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** In which worlds it matters, if it seldom does. */
  readonly world?: Partial<Params>;
  /** The checker that catches it; what others catch before does not count. */
  readonly by: string;
}

export function patch(file: string, find: string, replace: string): Patch {
  return { file, find, replace };
}

/** Worlds whose apps derive this alone. */
export const ROWS: Params["derives"] = { rows: true, subscriptions: false, states: false };
export const SUBSCRIPTIONS: Params["derives"] = { rows: false, subscriptions: true, states: false };
export const STATES: Params["derives"] = { rows: false, subscriptions: false, states: true };

/** Devices are told of news on their socket alone: what is missed is not made good by a poll. */
export const SELDOM = { isLive: true, isAutomatic: true, pollEvery: 60_000 } as const;
