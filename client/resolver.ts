/** The app's rules for conflicts, as `shared/resolution.ts` puts them to use. */
import { parseCommit } from "../shared/commit.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event.ts";
import type { Limits } from "../shared/limits.ts";
import { byCommutation, type CommutingPair, type Contested, type Resolution, type Resolve } from "../shared/resolution.ts";
import { newEvents } from "./options.ts";

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

export function createResolver({ onConflict, commuting = [] }: ConflictRules, limits: Limits): Resolve<ConfirmedEvent> {
  return (contested) => {
    try {
      const answer = onConflict?.(contested);
      return (
        (answer === undefined ? undefined : toResolution(answer, contested, limits)) ??
        byCommutation(commuting, contested) ?? { kind: "park" }
      );
    } catch (error) {
      return { kind: "park", why: `onConflict failed: ${error}` };
    }
  };
}

function toResolution(answer: NonNullable<ConflictAnswer>, { streamId }: Contested<ConfirmedEvent>, limits: Limits): Resolution {
  if (answer === "rebase" || answer === "discard" || answer === "park") return { kind: answer };
  if (!Array.isArray(answer)) {
    const field = "onConflict";
    throw new InvalidRequestError('It answers "rebase", "discard", "park", events or nothing, at once.', { field });
  }
  const { events } = parseCommit({ streamId, expectedVersion: "any", events: answer }, newEvents(), limits, "onConflict.");
  return { kind: "rebase", events };
}
