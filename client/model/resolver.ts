/** The app's rules for conflicts, as `shared/resolution.ts` puts them to use. */
import { parseCommit } from "../../shared/commit.ts";
import { decideAgain } from "../../shared/decider.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event.ts";
import { byCommutation, type Contested, type Resolution, type Resolve } from "../../shared/resolution.ts";
import { newEvents } from "../options.ts";
import type { ConflictAnswer } from "../rules.ts";
import type { Kit } from "./kit.ts";

export function createResolver(kit: Kit): Resolve<ConfirmedEvent> {
  const { deciders } = kit;
  const { onConflict, commuting = [] } = kit.rules;
  return (contested) => {
    if (contested.command !== undefined) {
      return decideAgain(deciders, contested, (events) => completed(kit, contested.streamId, events, "decide."));
    }
    try {
      const answer = onConflict?.(contested);
      return (
        (answer === undefined ? undefined : toResolution(kit, answer, contested)) ?? byCommutation(commuting, contested) ?? { kind: "park" }
      );
    } catch (error) {
      return { kind: "park", why: `onConflict failed: ${error}` };
    }
  };
}

function toResolution(kit: Kit, answer: NonNullable<ConflictAnswer>, { streamId }: Contested<ConfirmedEvent>): Resolution {
  if (answer === "rebase" || answer === "discard" || answer === "park") return { kind: answer };
  if (!Array.isArray(answer)) {
    const field = "onConflict";
    throw new InvalidRequestError('It answers "rebase", "discard", "park", events or nothing, at once.', { field });
  }
  return { kind: "rebase", events: completed(kit, streamId, answer, "onConflict.") };
}

/** @throws InvalidRequestError, PayloadTooLargeError */
function completed({ limits }: Kit, streamId: string, events: readonly unknown[], field: string): readonly EventBody[] {
  return parseCommit({ streamId, expectedVersion: "any", events }, newEvents(), limits, field).events;
}
