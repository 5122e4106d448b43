/** Makes one function of the app's conflict rules and deciders, which `shared/device/resolution.ts` describes. */

import { decideAgain } from "../../shared/device/decide-again.ts";
import { byCommutation, type Contested, type Resolution, type Resolve } from "../../shared/device/resolution.ts";
import { InvalidRequestError, StoreClosedError } from "../../shared/errors.ts";
import { assertNewEvents, parseCommit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import { assertAcceptedNow, completeVersions } from "../../shared/event/event-checks.ts";
import { upcastEvent } from "../../shared/event/event-types.ts";
import { messageOf } from "../../shared/thrown.ts";
import type { StoreInternals } from "../internals.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import { newEvents } from "../tools/options.ts";
import type { ConflictAnswer } from "./rules.ts";

/**
 * The function resolves one contested commit. A commit with a command is decided again. For any other commit, `onConflict` is called, then
 * `commuting` is checked, else the commit is parked. If a rule throws, the commit is parked with the reason.
 */
export function createResolver(internals: StoreInternals): Resolve<ConfirmedEvent> {
  const { deciders, eventTypes, read } = internals;
  const known = (event: EventBody) => {
    internals.assertKnown(event);
    return eventTypes === undefined ? event : upcastEvent(eventTypes, event).event;
  };
  const seen = (event: ConfirmedEvent) => {
    internals.assertKnown(event);
    return read(event);
  };
  const { onConflict, commuting = [] } = internals.rules;
  return (contested) => {
    if (contested.command !== undefined) {
      const again = { ...contested, actor: internals.database.owner.person, freezes: IS_DEVELOPMENT };
      return decideAgain(deciders, again, eventTypes?.commands, known, (events) => completed(internals, contested, events, "decide."));
    }
    try {
      const answer = onConflict?.({ ...contested, theirs: contested.theirs.map(seen) });
      if (answer !== undefined) return toResolution(internals, answer, contested);
      return byCommutation(commuting, contested) ?? { kind: "park" };
    } catch (error) {
      // This tab stops: another one decides.
      if (error instanceof StoreClosedError) throw error;
      return { kind: "park", why: `onConflict failed: ${messageOf(error)}` };
    }
  };
}

function toResolution(internals: StoreInternals, answer: NonNullable<ConflictAnswer>, { streamId }: Contested<ConfirmedEvent>): Resolution {
  if (answer === "rebase" || answer === "discard" || answer === "park") return { kind: answer };
  if (!Array.isArray(answer)) {
    const field = "onConflict";
    const message = 'It must return "rebase", "discard", "park", an array of events, or undefined. It must not return a promise.';
    throw new InvalidRequestError(message, { field });
  }
  return { kind: "rebase", events: completed(internals, { streamId }, answer, "onConflict.") };
}

/**
 * The events of a rule or a decider, complete and checked. This runs within a transaction: if a schema returns a promise, the edge checks the
 * event.
 *
 * @throws InvalidRequestError, PayloadTooLargeError
 */
function completed(
  { limits, eventTypes }: StoreInternals,
  { streamId, command }: Pick<Contested<ConfirmedEvent>, "streamId" | "command">,
  given: readonly unknown[],
  field: string,
): readonly EventBody[] {
  assertNewEvents(given, field);
  const versioned = eventTypes === undefined ? given : completeVersions(eventTypes, given);
  const { events } = parseCommit({ streamId, expectedVersion: "any", events: versioned, command }, newEvents(), limits, field);
  if (eventTypes !== undefined) assertAcceptedNow(eventTypes, events, field);
  return events;
}
