/** The app's rules for conflicts, as `shared/device/resolution.ts` puts them to use. */

import { decideAgain } from "../../shared/device/decider.ts";
import { byCommutation, type Contested, type Resolution, type Resolve } from "../../shared/device/resolution.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { parseCommit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import { assertAccepted, completeVersions, questionsOf } from "../../shared/event/event-checks.ts";
import { upcastEvent } from "../../shared/event/event-types.ts";
import { messageOf } from "../../shared/thrown.ts";
import type { StoreInternals } from "../internals.ts";
import { newEvents } from "../tools/options.ts";
import type { ConflictAnswer } from "./rules.ts";

export function createResolver(internals: StoreInternals): Resolve<ConfirmedEvent> {
  const { deciders, eventTypes, read } = internals;
  const known = (event: EventBody) => (eventTypes === undefined ? event : upcastEvent(eventTypes, event).event);
  const { onConflict, commuting = [] } = internals.rules;
  return (contested) => {
    if (contested.command !== undefined) {
      return decideAgain(deciders, contested, known, (events) => completed(internals, contested.streamId, events, "decide."));
    }
    try {
      const answer = onConflict?.({ ...contested, theirs: contested.theirs.map((event) => read(event)) });
      return (
        (answer === undefined ? undefined : toResolution(internals, answer, contested)) ??
        byCommutation(commuting, contested) ?? { kind: "park" }
      );
    } catch (error) {
      return { kind: "park", why: `onConflict failed: ${messageOf(error)}` };
    }
  };
}

function toResolution(internals: StoreInternals, answer: NonNullable<ConflictAnswer>, { streamId }: Contested<ConfirmedEvent>): Resolution {
  if (answer === "rebase" || answer === "discard" || answer === "park") return { kind: answer };
  if (!Array.isArray(answer)) {
    const field = "onConflict";
    throw new InvalidRequestError('It answers "rebase", "discard", "park", events or nothing, at once.', { field });
  }
  return { kind: "rebase", events: completed(internals, streamId, answer, "onConflict.") };
}

/**
 * Schemas that answer later are not waited for, within a transaction: the edge asks them.
 *
 * @throws InvalidRequestError, PayloadTooLargeError
 */
function completed(
  { limits, eventTypes }: StoreInternals,
  streamId: string,
  given: readonly unknown[],
  field: string,
): readonly EventBody[] {
  const versioned = eventTypes === undefined ? given : completeVersions(eventTypes, given);
  const { events } = parseCommit({ streamId, expectedVersion: "any", events: versioned }, newEvents(), limits, field);
  if (eventTypes === undefined) return events;
  const answers = questionsOf(eventTypes, events, "current", field).map((ask): PromiseSettledResult<unknown> => {
    const value = ask();
    return { status: "fulfilled", value: value instanceof Promise ? {} : value };
  });
  assertAccepted(answers, events, field);
  return events;
}
