/**
 * `headwater/event-types`: which types of events an app knows, written once and handed to the device, to scripts and to the edge.
 *
 *     appended ──► complete, of the current version, accepted by its schema ──► recorded, as given      (`event-checks.ts`)
 *
 *     recorded ──► version 1 ── upcast[1] ──► 2 ── upcast[2] ──► 3, the current one ──► read            (here)
 *              └─► a type, or a version, that is not known ──► read as it is, and said so
 *
 * Invariants (numbers of the design's section 9):
 *  8. a recorded event never changes: an upcaster is handed copies, and what it answers stands in a new event;
 *  –  no event is skipped: one that is not known passes on unchanged, and an upcaster that fails ends the reading with an error.
 *
 * What it does not do: check what upcasters make (`headwater/testing` replays samples through them), or change an event's type.
 */

import { assert } from "../assert.ts";
import { InvalidRequestError } from "../errors.ts";
import { copyJson, type Json } from "../json.ts";
import { isOrdinal } from "../order.ts";
import { messageOf } from "../thrown.ts";
import { isName } from "./commit.ts";
import type { EventBody, EventMetadata, RecordedEvent } from "./event.ts";
import { isStandardSchema, type StandardSchema } from "./standard-schema.ts";

export type { StandardSchema };

/**
 * Makes data of version n + 1 of data of version n: pure, and at once, since it runs whenever such an event is read.
 * A method by its notation alone, so that it may name the type of the data that it knows.
 */
export type Upcaster = { upcast(data: unknown, event: EventBody): unknown }["upcast"];

/** An event type as an app writes it. */
export interface EventTypeDefinition {
  /** A whole number from 1: the version that the app appends. */
  readonly version: number;
  /** Accepts or refuses data of this version; what it would make of the data is not stored. */
  readonly schema?: StandardSchema;
  /** One for each older version. */
  readonly upcast?: { readonly [version: number]: Upcaster };
}

export interface EventTypeDefinitions {
  readonly [type: string]: EventTypeDefinition;
}

/** An event type as it is looked up. */
export interface EventType {
  readonly version: number;
  readonly schema: StandardSchema | undefined;
  /** That of version 1 comes first. */
  readonly upcasters: readonly Upcaster[];
}

/** Event types by name. A map, so that no name is found that nobody registered, such as `constructor`. */
export interface EventTypes<T extends EventTypeDefinitions = EventTypeDefinitions> extends ReadonlyMap<string, EventType> {
  /** In types only: what `EventOf` reads. */
  readonly definitions?: T;
}

/** What is recorded is what was handed over, so it is of what the schema takes, not of what it would make of it. */
export type DataOf<D extends EventTypeDefinition> = D extends { readonly schema: StandardSchema<infer Input> } ? Input : Json;

/**
 * The registered types as a union of events, for deciders, projections and the like. `Base` is what an event has besides its type and data:
 * `EventOf<typeof eventTypes, NewEvent>` are the events that can be appended.
 */
export type EventOf<R extends EventTypes, Base = RecordedEvent> =
  R extends EventTypes<infer T>
    ? { [K in keyof T & string]: Omit<Base, "type" | "data"> & { readonly type: K; readonly data: DataOf<T[K]> } }[keyof T & string]
    : never;

const PARTS: readonly string[] = ["version", "schema", "upcast"] satisfies (keyof EventTypeDefinition)[];

/** @throws InvalidRequestError naming type and version, e.g. for an older version that nothing would read */
export function defineEventTypes<T extends EventTypeDefinitions>(definitions: T): EventTypes<T> {
  const prototype: unknown = Object.getPrototypeOf(definitions);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new InvalidRequestError("Event types are the own keys of a plain object.", { field: "eventTypes" });
  }
  return new Map(Object.entries(definitions).map(([type, definition]) => [type, readDefinition(type, definition)]));
}

function readDefinition(type: string, definition: EventTypeDefinition): EventType {
  const refused = (sentence: string, part = "") => new InvalidRequestError(sentence, { field: `eventTypes.${type}${part}` });
  if (!isName(type)) throw refused(`${JSON.stringify(type)} can be no event type: one is 1 to 255 printable characters.`);
  if (typeof definition !== "object" || definition === null) throw refused(`${type} is an object with a version.`);
  const unknown = Object.keys(definition).find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw refused(`${type} has ${unknown}, but an event type has version, schema and upcast.`, `.${unknown}`);
  const { version, schema, upcast = {} } = definition;
  if (!isOrdinal(version) || version === 0) throw refused(`The version of ${type} is a whole number from 1.`, ".version");
  if (schema !== undefined && !isStandardSchema(schema)) {
    throw refused(`The schema of ${type} is none of Standard Schema, https://standardschema.dev.`, ".schema");
  }
  const upcasters: Upcaster[] = [];
  for (let older = 1; older < version; older++) {
    const upcaster = Object.hasOwn(upcast, older) ? upcast[older] : undefined;
    if (typeof upcaster !== "function") {
      const sentence = `${type} is at version ${version} and lacks upcast[${older}]: its events of version ${older} could not be read.`;
      throw refused(sentence, `.upcast[${older}]`);
    }
    upcasters.push(upcaster);
  }
  const older = upcasters.map((_, i) => String(i + 1));
  const useless = Object.keys(upcast).find((key) => !older.includes(key));
  if (useless !== undefined) throw refused(`${type} has upcast[${useless}], but is at version ${version}.`, `.upcast[${useless}]`);
  return { version, schema, upcasters };
}

/** An event as it is read: in its type's current version; or as it was recorded, where this app does not know its type or version. */
export interface Upcast<E> {
  readonly event: E;
  readonly isKnown: boolean;
}

/** @throws UpcastError where an upcaster fails */
export function upcastEvent<E extends EventBody>(types: EventTypes, event: E): Upcast<E> {
  const { schemaVersion } = event;
  const type = types.get(event.type);
  if (type === undefined || schemaVersion < 1 || schemaVersion > type.version) return { event, isKnown: false };
  if (schemaVersion === type.version) return { event, isKnown: true };
  const metadata = copied(event.metadata) as EventMetadata; // as the original is
  let data = copied(event.data);
  for (let version = schemaVersion; version < type.version; version++) {
    const upcaster = type.upcasters[version - 1];
    assert(upcaster !== undefined, "every older version has its upcaster");
    data = upcastOnce(upcaster, { ...event, schemaVersion: version, data, metadata }, event);
  }
  return { event: { ...event, schemaVersion: type.version, data }, isKnown: true };
}

function upcastOnce(upcaster: Upcaster, event: EventBody, recorded: EventBody): Json {
  let data: unknown;
  try {
    data = upcaster(event.data, event);
  } catch (error) {
    throw new UpcastError(recorded, event.schemaVersion, messageOf(error), { cause: error });
  }
  if (isData(data)) return data;
  throw new UpcastError(recorded, event.schemaVersion, "it answers data, at once: neither nothing nor a promise.");
}

/** Whether an upcaster's answer can be data. It is not looked into: that would cost as much as the upcaster, on every read. */
function isData(value: unknown): value is Json {
  if (typeof value === "object") return value === null || !("then" in value && typeof value.then === "function");
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** Recorded data has been within its limits once. */
function copied(value: unknown): Json {
  return copyJson(value, "data", Number.POSITIVE_INFINITY).value;
}

/** The same for many events; `unknown` are those which this app does not know, and they stand among `events` too. */
export function upcastEvents<E extends EventBody>(
  types: EventTypes,
  events: readonly E[],
): { readonly events: readonly E[]; readonly unknown: readonly E[] } {
  const unknown: E[] = [];
  const read = events.map((recorded) => {
    const { event, isKnown } = upcastEvent(types, recorded);
    if (!isKnown) unknown.push(recorded);
    return event;
  });
  return { events: read, unknown };
}

/** Whether an event that was read is one of the registered types, in its current version: in types, one of `EventOf`. */
export function isEventOf<T extends EventTypeDefinitions, E extends Pick<EventBody, "type" | "schemaVersion" | "data">>(
  types: EventTypes<T>,
  event: E,
): event is E & EventOf<EventTypes<T>, unknown> {
  return types.get(event.type)?.version === event.schemaVersion;
}

/** An upcaster failed. `field` names it, e.g. `eventTypes.PermitRequested.upcast[1]`: it is to be mended, and the event is as it was. */
export class UpcastError extends InvalidRequestError {
  /** As it is recorded: where it was read from a store, with its stream, version and position. */
  readonly event: EventBody & Partial<RecordedEvent>;
  /** The version whose upcaster failed. */
  readonly schemaVersion: number;

  constructor(event: EventBody, schemaVersion: number, why: string, options?: ErrorOptions) {
    const { id, type } = event;
    const field = `eventTypes.${type}.upcast[${schemaVersion}]`;
    super(`${type} of version ${schemaVersion}, event ${id}, can't be read: its upcaster failed: ${why}`, { field, eventId: id }, options);
    this.name = "UpcastError";
    this.event = event;
    this.schemaVersion = schemaVersion;
  }
}
