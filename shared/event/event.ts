/** The event: as an app hands it over, as it is appended, and as it is recorded. */
import type { Json } from "../json.ts";
import type { Position, Version } from "../order.ts";

export interface EventMetadata {
  /** The id of the event that began the chain which this one belongs to. */
  readonly correlationId?: string;
  /** The id of the event that caused this one. */
  readonly causationId?: string;
  readonly [key: string]: Json | undefined;
}

/** An event as an app hands it over; what it leaves out is filled in on the device. */
export interface NewEvent {
  /** A UUID, the idempotency key. Default: a random one. */
  readonly id?: string;
  /** 1–255 printable characters, e.g. `PermitRequested`. */
  readonly type: string;
  readonly data: unknown;
  /** An object. Default: `{}`. */
  readonly metadata?: EventMetadata | undefined;
  /** A whole number from 1. Default: the type's current version where there are event types, else 1. */
  readonly schemaVersion?: number;
  /** ISO 8601 in UTC, ending in `Z`. Default: now, by the device's clock. */
  readonly occurredAt?: string;
}

/** What the writer says of an event: complete, checked, and never changed afterwards. */
export interface EventBody {
  readonly id: string;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: Json;
  readonly metadata: EventMetadata;
  readonly occurredAt: string;
}

/** What the edge adds to an event when it records it. */
export interface RecordingFields {
  /** Its place in the store; null while the edge has not given it one, or the log is yet to learn of it. */
  readonly position: Position | null;
  /** The edge's clock, ISO 8601 UTC; null while pending. */
  readonly recordedAt: string | null;
  /** Who the edge authenticated; null while pending and where nobody was. */
  readonly actor: string | null;
}

/** An event in its stream. */
export interface RecordedEvent extends EventBody, RecordingFields {
  readonly streamId: string;
  readonly version: Version;
}

/** A recorded event that has its position: what the feed carries. */
export interface ConfirmedEvent extends RecordedEvent {
  readonly position: Position;
  readonly recordedAt: string;
}
