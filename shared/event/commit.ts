/** Makes a commit from what an app or a request hands over: checked, complete and within the limits, so that it can be decided. */
import { type PendingCommand, withCommandId } from "../decider/command.ts";
import { InvalidRequestError, PayloadTooLargeError } from "../errors.ts";
import { type ExpectedVersion, parseExpectedVersion } from "../expected-version.ts";
import { copyJson, isObject, type Json } from "../json.ts";
import { type Limits, NAME_LENGTH, parseCount } from "../limits.ts";
import { parseStreamId, type StreamId } from "../stream-id.ts";
import { isUtcTime } from "../time.ts";
import type { EventBody, EventMetadata, RecordedEvent } from "./event.ts";

/** Events of one stream that are appended together: all of them or none. */
export interface Commit {
  readonly streamId: StreamId;
  readonly expectedVersion: ExpectedVersion;
  readonly events: readonly EventBody[];
  /** The command that the events were decided for; undefined if there is none. */
  readonly command?: PendingCommand | undefined;
  /** Which event led to the command, as the metadata of the events that the edge decides for it. Default: as in the events of the commit. */
  readonly cause?: EventMetadata | undefined;
}

export const NEW_EVENT_FIELDS = ["id", "type", "data", "metadata", "schemaVersion", "occurredAt"] satisfies (keyof EventBody)[];
type NewField = (typeof NEW_EVENT_FIELDS)[number];
/** Fields of an event that was read. It may be appended to another stream as it is. */
const READ_FIELDS = ["streamId", "version", "position", "recordedAt", "actor", "pending"] satisfies (
  | Exclude<keyof RecordedEvent, NewField>
  | "pending"
)[];
const EVENT_FIELDS: readonly string[] = [...NEW_EVENT_FIELDS, ...READ_FIELDS];

/**
 * Returns `events`. Fields that no event has are typos, and their values would be lost.
 *
 * @param field as of `parseCommit`
 * @throws InvalidRequestError if it is not a list, e.g. one event, or an event has a field that no event has
 */
export function assertNewEvents<E>(events: readonly E[], field = ""): readonly E[] {
  if (!Array.isArray(events)) {
    throw new InvalidRequestError(`${field}events must be a list, also for one event: [event].`, { field: `${field}events` });
  }
  for (const [i, event] of events.entries()) {
    const unknown = isObject(event) ? Object.keys(event).find((name) => !EVENT_FIELDS.includes(name)) : undefined;
    if (unknown === undefined) continue;
    const place = `${field}events[${i}].${unknown}`;
    throw new InvalidRequestError(`${place} is no field of an event. Put what is your own into data or metadata.`, { field: place });
  }
  return events;
}

/** Values for fields that an event leaves out. The caller passes them, because `shared/` has neither a clock nor randomness. */
export interface EventDefaults {
  readonly newId: () => string;
  readonly occurredAt: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Bytes of an event as a JSON line without its data, metadata, id and type: keys, quotes, a schema version and a time. */
const ENVELOPE_BYTES = 160;

/**
 * Checks a commit and completes its events.
 *
 * @param field how errors name the commit, e.g. `commits[3].`; empty if it is the whole request
 * @throws InvalidRequestError that names the wrong field
 * @throws PayloadTooLargeError if an event or the commit exceeds its limit
 */
export function parseCommit(
  input: {
    readonly streamId: unknown;
    readonly expectedVersion: unknown;
    readonly events: unknown;
    /** The command that the events were decided for, checked already. It may have no events. */
    readonly command?: PendingCommand | undefined;
  },
  defaults: EventDefaults,
  limits: Limits,
  field = "",
): Commit {
  const streamId = parseStreamId(input.streamId, `${field}streamId`);
  const expectedVersion = parseExpectedVersion(input.expectedVersion, `${field}expectedVersion`);
  const given = input.events;
  const { command } = input;
  if (!Array.isArray(given) || (given.length === 0 && command === undefined)) {
    throw new InvalidRequestError("A commit must have at least one event.", { field: `${field}events` });
  }
  if (given.length > limits.commitEvents) {
    throw new PayloadTooLargeError(`A commit can have at most ${limits.commitEvents} events, but this one has ${given.length}: split it.`, {
      field: `${field}events`,
    });
  }
  const events: EventBody[] = [];
  const ids = new Set<string>();
  let commitBytes = 0;
  for (let i = 0; i < given.length; i++) {
    const place = `${field}events[${i}]`;
    const { event, bytes } = parseEvent(given[i], defaults, limits, place, command?.id);
    if (ids.has(event.id)) {
      throw new InvalidRequestError("Two events of the commit have the same id: give each its own.", { field: `${place}.id` });
    }
    ids.add(event.id);
    commitBytes += bytes;
    events.push(event);
  }
  if (commitBytes > limits.commitBytes) {
    throw new PayloadTooLargeError(`A commit can have at most ${limits.commitBytes} bytes, but this one has ${commitBytes}: split it.`, {
      field: `${field}events`,
    });
  }
  return { streamId, expectedVersion, events, ...(command && { command }) };
}

/**
 * Checks an event and completes it.
 *
 * @param field how errors name the event, e.g. `events[0]`
 * @param commandId of the command that it was decided for. What its metadata says of one is left out, as other fields of a recorded event are
 * @returns the event, and its size as UTF-8 JSON
 * @throws InvalidRequestError that names the wrong field
 * @throws PayloadTooLargeError if its data and metadata together exceed `limits.eventBytes`
 */
export function parseEvent(
  input: unknown,
  defaults: EventDefaults,
  limits: Limits,
  field: string,
  commandId?: string,
): { readonly event: EventBody; readonly bytes: number } {
  if (!isObject(input) || Array.isArray(input)) {
    throw new InvalidRequestError("An event must be an object with a type and data.", { field });
  }
  const given: Partial<Record<keyof EventBody, unknown>> = input;
  const id = given.id === undefined ? defaults.newId() : parseEventId(given.id, `${field}.id`);
  const type = parseType(given.type, `${field}.type`);
  const schemaVersion = parseCount(given.schemaVersion ?? 1, `${field}.schemaVersion`) ?? 1;
  const occurredAt = given.occurredAt === undefined ? defaults.occurredAt : parseUtcTime(given.occurredAt, `${field}.occurredAt`);
  const data = copyJson(given.data, `${field}.data`, limits.jsonDepth);
  const metadataCopy = copyJson(given.metadata ?? {}, `${field}.metadata`, limits.jsonDepth);
  const metadata = parseMetadata(metadataCopy.value);
  if (metadata === undefined) {
    const sentence = "Metadata must be an object, and its correlationId and causationId must be strings.";
    throw new InvalidRequestError(sentence, { field: `${field}.metadata` });
  }
  const content = data.bytes + metadataCopy.bytes;
  if (content > limits.eventBytes) {
    throw new PayloadTooLargeError(
      `An event's data and metadata can have at most ${limits.eventBytes} bytes together, but these have ${content}.`,
      { field },
    );
  }
  const event: EventBody = { id, type, schemaVersion, data: data.value, metadata: withCommandId(metadata, commandId), occurredAt };
  return { event, bytes: content + copyJson(type, field, 0).bytes + ENVELOPE_BYTES };
}

/** In either case. */
export function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

/** @throws InvalidRequestError if `value` is not a UUID. @returns the id in lower case */
export function parseEventId(value: unknown, field: string): string {
  if (!isUuid(value)) throw new InvalidRequestError("An event id must be a UUID.", { field });
  return toReference(value);
}

/**
 * An id as metadata and queries refer to it: a UUID in lower case, as event ids are stored. An id of another system stays as it is, because
 * only a UUID is the same id in both cases.
 */
export function toReference(id: string): string {
  return UUID.test(id) ? id.toLowerCase() : id;
}

function parseType(value: unknown, field: string): string {
  if (!isName(value)) throw new InvalidRequestError(`An event type must be 1 to ${NAME_LENGTH} printable characters.`, { field });
  return value;
}

/**
 * Checks a command.
 *
 * @param field how errors name it, e.g. `command.`
 * @param newId for a command without an id
 * @throws InvalidRequestError that names the wrong field
 * @throws PayloadTooLargeError if its data exceeds `limits.eventBytes`
 */
export function parseCommand(
  given: { readonly id?: unknown; readonly decider: unknown; readonly version: unknown; readonly data?: unknown },
  limits: Limits,
  field: string,
  newId?: () => string,
): PendingCommand {
  if (!(given.id === undefined && newId !== undefined) && !isUuid(given.id)) {
    throw new InvalidRequestError("The id of a command must be a UUID.", { field: `${field}id` });
  }
  if (!isName(given.decider)) {
    throw new InvalidRequestError("decider must be the name of a decider.", { field: `${field}decider` });
  }
  const version = parseCount(given.version, `${field}version`) ?? 1;
  const data = copyJson(given.data ?? null, `${field}data`, limits.jsonDepth);
  if (data.bytes > limits.eventBytes) {
    throw new PayloadTooLargeError(`A command's data can have at most ${limits.eventBytes} bytes, but this one has ${data.bytes}.`, {
      field: `${field}data`,
    });
  }
  const id = isUuid(given.id) ? toReference(given.id) : (newId?.() ?? "");
  return { id, decider: given.decider, version, data: data.value };
}

/** Whether `value` can be an event type or an actor: 1–255 printable characters. */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= NAME_LENGTH && !NOT_PRINTABLE.test(value);
}

/** Returns `value`. @throws InvalidRequestError if it is not an ISO 8601 time in UTC that exists */
export function parseUtcTime(value: unknown, field: string): string {
  if (!isUtcTime(value)) {
    throw new InvalidRequestError("A time must be ISO 8601 in UTC, e.g. 2026-01-31T09:30:00.000Z.", { field });
  }
  return value;
}

/** A copy of the metadata in which ids of events are in lower case; undefined if `value` is not metadata. */
function parseMetadata(value: Json): EventMetadata | undefined {
  if (!isObject(value) || Array.isArray(value)) return undefined;
  const metadata: Record<string, Json> = { ...value };
  for (const name of ["correlationId", "causationId"]) {
    const id = metadata[name];
    if (id === undefined) continue;
    if (typeof id !== "string") return undefined;
    metadata[name] = toReference(id);
  }
  return metadata;
}
