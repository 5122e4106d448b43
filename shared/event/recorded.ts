/**
 * An event as the edge recorded it, read from a backup. The same rules check it in the command line and at the edge, and the same function
 * compares it with the event that a store has.
 */
import { sameContent } from "../append.ts";
import { InvalidRequestError } from "../errors.ts";
import { copyJson, isObject } from "../json.ts";
import type { Limits } from "../limits.ts";
import { isName, parseEvent, parseUtcTime } from "./commit.ts";
import type { EventBody, EventMetadata, RecordingFields } from "./event.ts";

/** A recorded event without its place: stream, version and position. */
export type RecordedContent = EventBody & Pick<RecordingFields, "actor"> & { readonly recordedAt: string };

/** An appended event gets a default for these. A recorded one has them, and a restore changes nothing. */
const REQUIRED = ["id", "schemaVersion", "metadata", "occurredAt", "actor"] as const;

/**
 * Checks a recorded event. Other fields are ignored.
 *
 * @param field how errors name the event, e.g. `events[0]`
 * @throws InvalidRequestError that names the wrong field
 * @throws PayloadTooLargeError if its data and metadata together exceed `limits.eventBytes`
 */
export function parseRecorded(value: unknown, limits: Limits, field: string): RecordedContent {
  const given = isObject(value) ? value : {};
  for (const name of REQUIRED) {
    if (given[name] === undefined) throw new InvalidRequestError(`A recorded event must have "${name}".`, { field: `${field}.${name}` });
  }
  const { event } = parseEvent(value, { newId: () => "", occurredAt: "" }, limits, field);
  const recordedAt = parseUtcTime(given["recordedAt"], `${field}.recordedAt`);
  const actor = given["actor"];
  if (actor !== null && !isName(actor)) {
    throw new InvalidRequestError("The actor of a recorded event must be 1 to 255 printable characters, or null.", {
      field: `${field}.actor`,
    });
  }
  // As it is: an event of an earlier version may have ids in upper case there.
  const metadata = copyJson(given["metadata"], `${field}.metadata`, limits.jsonDepth).value as EventMetadata; // `parseEvent` has checked it
  return { ...event, metadata, recordedAt, actor };
}

/** The first field in which two recorded events differ; undefined if they are equal. */
export function differingField(a: RecordedContent, b: RecordedContent): keyof RecordedContent | undefined {
  for (const name of ["id", "type", "schemaVersion", "occurredAt", "recordedAt", "actor"] as const) if (a[name] !== b[name]) return name;
  if (sameContent(a, b)) return undefined;
  return sameContent(a, { ...b, data: a.data }) ? "data" : "metadata";
}
