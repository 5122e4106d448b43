/**
 * Given an event as it was recorded once, this is what an app reads of it now.
 *
 *     givenRecorded(eventTypes, event).thenRead(data)
 *
 * It is read twice: an upcaster that looks at a clock comes to something else. Samples of all older versions, held against the schemas, are
 * for `replaySamples`.
 */

import type { EventTypes } from "../../shared/event/event-types.ts";
import { upcastEvent } from "../../shared/event/event-types.ts";
import { type Json, sameJson } from "../../shared/json.ts";
import { messageOf } from "../../shared/thrown.ts";
import { difference, listed } from "./story.ts";
import { type EventSample, recordedOf } from "./upcasters.ts";

export interface GivenRecorded {
  /** The event reads as of its type's current version, with this data. */
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
    if (!types.has(type)) fail("no such type is registered.");
    try {
      const { event, isKnown } = upcastEvent(types, recordedOf(sample));
      if (isKnown) return JSON.parse(JSON.stringify(event.data));
    } catch (error) {
      fail(messageOf(error), "", error);
    }
    return fail(`it is at version ${types.get(type)?.version}, and what was recorded is newer.`);
  };
  return {
    thenRead(data) {
      const [came, again] = [read(), read()];
      if (!sameJson(came, again)) fail("read twice, it came to two things; upcasters must be pure.", difference(came, again, "then"));
      const expected: Json = JSON.parse(JSON.stringify(data));
      if (!sameJson(expected, came)) fail("it reads as something else.", difference(expected, came, "read"));
    },
  };
}
