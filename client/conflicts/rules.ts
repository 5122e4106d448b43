/** The conflict rules that an app may give to its store. `resolver.ts` applies them. */
import type { AnyDecider } from "../../shared/decider/decider.ts";
import type { CommutingPair, Contested } from "../../shared/device/resolution.ts";
import type { ConfirmedEvent, NewEvent } from "../../shared/event/event.ts";

/**
 * What happens to a pending commit whose expected version no longer holds, because others appended first. `rebase` puts it after their
 * events, `discard` deletes it for good, and `park` shows it in `conflicts()`. An array of events replaces the commit, after their events.
 * `undefined` leaves the decision to `commuting`.
 */
export type ConflictAnswer = "rebase" | "discard" | "park" | readonly NewEvent[] | undefined;

export interface ConflictRules {
  /**
   * Called within a database transaction, so it must return its answer synchronously, and no promise. If it throws, the commit is parked
   * with the error's message as the reason.
   */
  readonly onConflict?: ((conflict: Contested<ConfirmedEvent>) => ConflictAnswer) | undefined;
  /**
   * Pairs of event types whose order does not matter; `"*"` is every type. A commit is rebased if each of its events commutes with all of
   * theirs.
   */
  readonly commuting?: readonly CommutingPair[] | undefined;
}

/** Deciders by name. */
export type Deciders = Map<string, AnyDecider>;
