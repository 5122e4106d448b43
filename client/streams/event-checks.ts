/** Event types put to use: checking what an app appends, and bringing what it reads to the current version. */
import { parseEvent } from "../../shared/event/commit.ts";
import type { NewEvent, RecordedEvent } from "../../shared/event/event.ts";
import { assertAccepted, completeVersions, questionsOf } from "../../shared/event/event-checks.ts";
import { type EventTypes, upcastEvent } from "../../shared/event/event-types.ts";
import { DEFAULT_LIMITS, type Limits } from "../../shared/limits.ts";
import { newEvents } from "../tools/options.ts";

export interface EventTypeOptions {
  /** Which events the app knows: what it appends is checked, and what it reads is brought to the current version. Default: nothing of it. */
  readonly eventTypes?: EventTypes | undefined;
  /** Told of each event that is read as it was recorded, since `eventTypes` does not know its type or its version. */
  readonly onUnknownEvent?: ((event: RecordedEvent) => void) | undefined;
}

export interface CheckOptions {
  readonly limits?: Limits;
  /** How the commit is named to the caller, e.g. `commits[3].` */
  readonly field?: string;
}

/**
 * The events, complete: with ids, in their types' current versions, accepted by the schemas. All of it is copied before anything is waited
 * for, so that what was checked is what is appended. Where schemas answer at once it takes as many turns for one event as for a
 * thousand, so that appends asked for one after the other stay in that order.
 *
 * @throws InvalidRequestError naming the field, PayloadTooLargeError
 */
export async function checkEvents(
  types: EventTypes,
  events: readonly NewEvent[],
  { limits = DEFAULT_LIMITS, field = "" }: CheckOptions = {},
): Promise<readonly NewEvent[]> {
  const given = completeVersions(types, events);
  if (!Array.isArray(given)) return events; // refused by `parseCommit`
  const defaults = newEvents();
  const bodies = given.map((event, i) => parseEvent(event, defaults, limits, `${field}events[${i}]`).event);
  const questions = questionsOf(types, bodies, "current", field);
  assertAccepted(await Promise.allSettled(questions.map(async (ask) => ask())), bodies, field);
  return bodies;
}

/**
 * What brings a recorded event to the version that the app knows: as a new event, or as it is where there is nothing to do.
 * It throws UpcastError where an upcaster fails.
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
