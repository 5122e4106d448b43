/** What an app may say of conflicts. What is made of it is `model/resolver.ts`. */
import type { AnyDecider } from "../../shared/device/decider.ts";
import type { CommutingPair, Contested } from "../../shared/device/resolution.ts";
import type { ConfirmedEvent, NewEvent } from "../../shared/event/event.ts";

/**
 * What becomes of a commit whose expectation others have overtaken: `rebase` puts it behind theirs, `discard` lets go of it,
 * `park` shows it in `conflicts()`; events take its place, behind theirs. Nothing: whatever `commuting` says.
 */
export type ConflictAnswer = "rebase" | "discard" | "park" | readonly NewEvent[] | undefined;

export interface ConflictRules {
  /**
   * Asked within a transaction of the database, so it answers at once: no promise. Where it throws, the commit is parked
   * with the reason.
   */
  readonly onConflict?: ((conflict: Contested<ConfirmedEvent>) => ConflictAnswer) | undefined;
  /** Event types that mean the same in either order; `"*"` is every type. A commit whose every event commutes with all of theirs is rebased. */
  readonly commuting?: readonly CommutingPair[] | undefined;
}

/** By their names. */
export type Deciders = Map<string, AnyDecider>;
