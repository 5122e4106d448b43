/**
 * Tests upcasters: given an event as it was once recorded, an app reads this data today.
 *
 *     givenRecorded(eventTypes, event).thenRead(data)
 *
 * The event is read twice. An upcaster that reads a clock gives another result the second time, and fails the test. To check samples of all
 * older versions against the schemas, use `replaySamples`.
 */

import type { EventTypes } from "../../shared/event/event-types.ts";
import { upcastEvent } from "../../shared/event/event-types.ts";
import { type Json, sameJson } from "../../shared/json.ts";
import { messageOf } from "../../shared/thrown.ts";
import { difference, listed } from "./story.ts";
import { type EventSample, recordedOf } from "./upcasters.ts";

export interface GivenRecorded {
  /** Passes if the event reads as this data, in the current version of its type. @throws Error that shows the difference */
  thenRead(data: unknown): void;
}

export function givenRecorded(types: EventTypes, sample: EventSample): GivenRecorded {
  const { type } = sample;
  const fail = (what: string, comparison = "", cause?: unknown): never => {
    throw new Error(
      `${type}: ${what}\n\ngiven${listed([sample])}${comparison && `\nthen${comparison}`}`,
      cause === undefined ? {} : { cause },
    );
  };
  const read = (): Json => {
    if (!types.has(type)) fail("this type is not registered. Add it to the event types.");
    try {
      const { event, isKnown } = upcastEvent(types, recordedOf(sample));
      if (isKnown) return JSON.parse(JSON.stringify(event.data));
    } catch (error) {
      fail(messageOf(error), "", error);
    }
    return fail(`the type is at version ${types.get(type)?.version}, which can't read an event of version ${sample.schemaVersion}.`);
  };
  return {
    thenRead(data) {
      const [came, again] = [read(), read()];
      if (!sameJson(came, again))
        fail("reading the event twice gave different data. Upcasters must be pure.", difference(came, again, "then"));
      const expected: Json = JSON.parse(JSON.stringify(data));
      if (!sameJson(expected, came)) fail("the event reads as other data.", difference(expected, came, "read"));
    },
  };
}
