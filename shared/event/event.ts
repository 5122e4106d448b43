/** The event in its three forms: as an app hands it over, as it is appended, and as it is recorded. */
import type { Json } from "../json.ts";
import type { Position, Version } from "../order.ts";

export interface EventMetadata {
  /** The id of the event that began the chain to which this event belongs. */
  readonly correlationId?: string;
  /** The id of the event that caused this one. */
  readonly causationId?: string;
  readonly [key: string]: Json | undefined;
}

/** An event as an app hands it over. The device fills in what it leaves out. */
export interface NewEvent {
  /** A UUID, the idempotency key. It is stored in lower case. Default: a random one. */
  readonly id?: string;
  /** 1–255 printable characters, e.g. `PermitRequested`. */
  readonly type: string;
  readonly data: unknown;
  /** An object. Default: `{}`. */
  readonly metadata?: EventMetadata | undefined;
  /** A whole number from 1. Default: the type's current version if there are event types, otherwise 1. */
  readonly schemaVersion?: number;
  /** ISO 8601 in UTC, ending in `Z`, and a time that exists. Default: now, by the device's clock. */
  readonly occurredAt?: string;
}

/** The part of an event that comes from the writer: complete, checked, and never changed afterwards. */
export interface EventBody {
  readonly id: string;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: Json;
  readonly metadata: EventMetadata;
  readonly occurredAt: string;
}

/** The fields that the edge adds to an event when it records it. */
export interface RecordingFields {
  /** The event's place in its store; null until the edge has given it one, also while the log does not have the event yet. */
  readonly position: Position | null;
  /** The time of recording by the edge's clock, ISO 8601 UTC; null while pending. */
  readonly recordedAt: string | null;
  /** Who the edge authenticated; null while pending, and if nobody was authenticated. */
  readonly actor: string | null;
}

/** An event in its stream. */
export interface RecordedEvent extends EventBody, RecordingFields {
  readonly streamId: string;
  readonly version: Version;
}

/** A recorded event that has its position. The feed consists of these. */
export interface ConfirmedEvent extends RecordedEvent {
  readonly position: Position;
  readonly recordedAt: string;
}
