/** Applies event types: checks the events that an app appends, and upcasts the events that it reads to the current version. */
import { parseEvent } from "../../shared/event/commit.ts";
import type { NewEvent, RecordedEvent } from "../../shared/event/event.ts";
import { assertAccepted, completeVersions, questionsOf } from "../../shared/event/event-checks.ts";
import { type EventTypes, upcastEvent } from "../../shared/event/event-types.ts";
import { DEFAULT_LIMITS, type Limits } from "../../shared/limits.ts";
import { newEvents } from "../tools/options.ts";
import type { EventTypeOptions } from "./event-codec.ts";

export interface CheckOptions {
  readonly limits?: Limits;
  /** Prefix of `field` in errors, which says which commit is meant, e.g. `commits[3].`. Default: none. */
  readonly field?: string;
}

/**
 * Checks the events, and returns them complete: with ids, in the current versions of their types, accepted by the schemas. The events are
 * copied before the first await, so that the app can't change them between the check and the append. If the schemas answer synchronously,
 * a thousand events take as many microtasks as one, so that appends stay in the order of their calls.
 *
 * @throws InvalidRequestError with the `field` that is wrong, PayloadTooLargeError
 */
export async function checkEvents(
  types: EventTypes,
  events: readonly NewEvent[],
  { limits = DEFAULT_LIMITS, field = "" }: CheckOptions = {},
): Promise<readonly NewEvent[]> {
  const given = completeVersions(types, events);
  if (!Array.isArray(given)) return events; // `parseCommit` rejects it later
  const defaults = newEvents();
  const bodies = given.map((event, i) => parseEvent(event, defaults, limits, `${field}events[${i}]`).event);
  const questions = questionsOf(types, bodies, "current", field);
  assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), bodies, field);
  return bodies;
}

/**
 * Returns a function that upcasts a recorded event to the current version of its type. It returns a new event, or the same one if there is
 * nothing to do. It throws UpcastError if an upcaster fails.
 *
 * @param onUnknownEvent see `EventTypeOptions`
 */
export function createReader(
  types: EventTypes,
  onUnknownEvent?: EventTypeOptions["onUnknownEvent"],
): <E extends RecordedEvent>(event: E) => E {
  return (recorded) => {
    const { event, isKnown } = upcastEvent(types, recorded);
    if (!isKnown) onUnknownEvent?.(event);
    return event;
  };
}
