/**
 * `headwater/event-types`: the event types that an app knows. They are written once and passed to the device, to scripts and to the edge.
 *
 *     appended ──► complete, of the current version, accepted by its schema ──► recorded, as given      (`event-checks.ts`)
 *
 *     recorded ──► version 1 ── upcast[1] ──► 2 ── upcast[2] ──► 3, the current one ──► read            (here)
 *              └─► an unknown type or version ──► read as it is, and reported
 *
 * Invariants (numbers of docs/architecture.md):
 *  8. a recorded event never changes: an upcaster gets copies, and what it returns is put into a new event;
 *  –  no event is skipped: an unknown event is returned unchanged, and if an upcaster fails, reading ends with an error.
 *
 * What it does not do: check what upcasters return (`headwater/testing` replays samples through them), or change an event's type.
 */

import { assert } from "../assert.ts";
import { type CommandDefinitions, type CommandUpcasters, defineCommands } from "../decider/command-versions.ts";
import { InvalidRequestError } from "../errors.ts";
import { copyJson, type Json } from "../json.ts";
import { completeOptions } from "../options.ts";
import { messageOf } from "../thrown.ts";
import { isName } from "./commit.ts";
import type { EventBody, EventMetadata, RecordedEvent } from "./event.ts";
import { EVENT_TYPE_PARTS } from "./event-type-parts.ts";
import type { StandardSchema } from "./standard-schema.ts";

export type { CommandDefinition, CommandDefinitions, CommandUpcaster, CommandUpcasters } from "../decider/command-versions.ts";
export type { StandardSchema };

/**
 * Turns data of version n into data of version n + 1. It is pure and synchronous, because it runs whenever such an event is read.
 * It is written as a method only so that its parameter may have the type of the data that the upcaster knows.
 */
export type Upcaster = { upcast(data: unknown, event: EventBody): unknown }["upcast"];

/** An event type as an app writes it. */
export interface EventTypeDefinition {
  /** A whole number from 1: the schema version that the app appends. */
  readonly version: number;
  /** Accepts or rejects data of this version; its output is not stored. Default: all data is accepted. */
  readonly schema?: StandardSchema;
  /** One upcaster for each older version, by the version. Default: none. */
  readonly upcast?: { readonly [version: number]: Upcaster };
}

export interface EventTypeDefinitions {
  readonly [type: string]: EventTypeDefinition;
}

/** An event type as `EventTypes` stores it. */
export interface EventType {
  readonly version: number;
  readonly schema: StandardSchema | undefined;
  /** The upcaster of version 1 comes first. */
  readonly upcasters: readonly Upcaster[];
}

/** Event types by name. It is a map, so that names which every object has, such as `constructor`, are not found unless registered. */
export interface EventTypes<T extends EventTypeDefinitions = EventTypeDefinitions> extends ReadonlyMap<string, EventType> {
  /** In types only: what `EventOf` reads. */
  readonly definitions?: T;
  /** Upcasters of commands, by the names of their deciders. */
  readonly commands?: CommandUpcasters;
}

class Registry<T extends EventTypeDefinitions> extends Map<string, EventType> implements EventTypes<T> {
  readonly commands: CommandUpcasters;

  constructor(types: Iterable<readonly [string, EventType]>, commands: CommandUpcasters) {
    super(types);
    this.commands = commands;
  }
}

/** The data is recorded as it was handed over, so its type is the schema's input and not its output. */
export type DataOf<D extends EventTypeDefinition> = D extends { readonly schema: StandardSchema<infer Input> } ? Input : Json;

/**
 * The registered types as a union of events, for deciders, projections and other functions. `Base` has the other fields of the event:
 * `EventOf<typeof eventTypes, NewEvent>` are the events that can be appended. Default: a recorded event.
 */
export type EventOf<R extends EventTypes, Base = RecordedEvent> =
  R extends EventTypes<infer T>
    ? { [K in keyof T & string]: Omit<Base, "type" | "data"> & { readonly type: K; readonly data: DataOf<T[K]> } }[keyof T & string]
    : never;

/**
 * @param commands what older versions of the app have asked deciders for, and how it is read now
 * @throws InvalidRequestError that names the type and the version, e.g. if an older version has no upcaster
 */
export function defineEventTypes<T extends EventTypeDefinitions>(definitions: T, commands: CommandDefinitions = {}): EventTypes<T> {
  const prototype: unknown = Object.getPrototypeOf(definitions);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new InvalidRequestError("Event types must be given as the own keys of a plain object.", { field: "eventTypes" });
  }
  const types = Object.entries(definitions).map(([type, definition]) => [type, readDefinition(type, definition)] as const);
  return new Registry(types, defineCommands(commands));
}

function readDefinition(type: string, definition: EventTypeDefinition): EventType {
  const refused = (sentence: string, part = "") => new InvalidRequestError(sentence, { field: `eventTypes.${type}${part}` });
  if (!isName(type)) throw refused(`${JSON.stringify(type)} is not a valid event type: it must be 1 to 255 printable characters.`);
  const { version, schema, upcast } = completeOptions(definition, EVENT_TYPE_PARTS, `eventTypes.${type}.`);
  const upcasters: Upcaster[] = [];
  for (let older = 1; older < version; older++) {
    const upcaster = Object.hasOwn(upcast, older) ? upcast[older] : undefined;
    if (typeof upcaster !== "function") {
      const sentence = `${type} has version ${version} but no upcast[${older}]: add it, or events of version ${older} can't be read.`;
      throw refused(sentence, `.upcast[${older}]`);
    }
    upcasters.push(upcaster);
  }
  const older = upcasters.map((_, i) => String(i + 1));
  const useless = Object.keys(upcast).find((key) => !older.includes(key));
  if (useless !== undefined) {
    const sentence = `${type} has upcast[${useless}], but its version is ${version}: remove it, only older versions have an upcaster.`;
    throw refused(sentence, `.upcast[${useless}]`);
  }
  return { version, schema, upcasters };
}

/** An event as it is read: in its type's current version, or as it was recorded if this app does not know its type or version. */
export interface Upcast<E> {
  readonly event: E;
  readonly isKnown: boolean;
}

/** @throws UpcastError if an upcaster fails */
export function upcastEvent<E extends EventBody>(types: EventTypes, event: E): Upcast<E> {
  const { schemaVersion } = event;
  const type = types.get(event.type);
  if (type === undefined || schemaVersion < 1 || schemaVersion > type.version) return { event, isKnown: false };
  if (schemaVersion === type.version) return { event, isKnown: true };
  const metadata = copied(event.metadata) as EventMetadata; // a copy has the form of the original
  let data = copied(event.data);
  for (let version = schemaVersion; version < type.version; version++) {
    const upcaster = type.upcasters[version - 1];
    assert(upcaster !== undefined, "every older version has an upcaster");
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
  throw new UpcastError(recorded, event.schemaVersion, "it must return data synchronously, neither undefined nor a promise.");
}

/** Whether what an upcaster returned can be data. Its parts are not checked: that would cost as much as the upcaster, on every read. */
function isData(value: unknown): value is Json {
  if (typeof value === "object") return value === null || !("then" in value && typeof value.then === "function");
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** A copy without a limit of depth, because recorded data was within its limits when it was appended. */
function copied(value: unknown): Json {
  return copyJson(value, "data", Number.POSITIVE_INFINITY).value;
}

/**
 * The same for many events. `unknown` are the recorded events that this app does not know; `events` contains them too.
 *
 * @throws UpcastError if an upcaster fails
 */
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

/** Whether an event that was read has a registered type and its current version. If so, its TypeScript type is one of `EventOf`. */
export function isEventOf<T extends EventTypeDefinitions, E extends Pick<EventBody, "type" | "schemaVersion" | "data">>(
  types: EventTypes<T>,
  event: E,
): event is E & EventOf<EventTypes<T>, unknown> {
  return types.get(event.type)?.version === event.schemaVersion;
}

/** An upcaster failed. `field` names it, e.g. `eventTypes.PermitRequested.upcast[1]`: correct the upcaster. The event did not change. */
export class UpcastError extends InvalidRequestError {
  /** The event as it is recorded. If it was read from a store, it has its stream, version and position. */
  readonly event: EventBody & Partial<RecordedEvent>;
  /** The version whose upcaster failed. */
  readonly schemaVersion: number;

  constructor(event: EventBody, schemaVersion: number, why: string, options?: ErrorOptions) {
    const { id, type } = event;
    const field = `eventTypes.${type}.upcast[${schemaVersion}]`;
    super(
      `Event ${id} (${type}, version ${schemaVersion}) can't be read because its upcaster failed: ${why}`,
      { field, eventId: id },
      options,
    );
    this.name = "UpcastError";
    this.event = event;
    this.schemaVersion = schemaVersion;
  }
}
