/** The interface of every event store: on IndexedDB, on the edge over HTTP, or in memory. */
import type { Cause } from "../shared/event/causation.ts";
import type { ConfirmedEvent, NewEvent, RecordedEvent } from "../shared/event/event.ts";
import { type ExpectedVersion, expectedVersion } from "../shared/expected-version.ts";
import * as option from "../shared/options.ts";

export interface AppendOptions {
  /** The version that the writer expects the stream to have. Default: `"any"`. */
  readonly expectedVersion?: ExpectedVersion;
  /** The event that led to these: they continue its correlation. Values in their own metadata take precedence. */
  readonly causedBy?: Cause;
}

export const APPEND_OPTIONS = {
  expectedVersion: /* @__PURE__ */ option.withPreset(expectedVersion, "any"),
  causedBy: option.cause,
} satisfies option.OptionsOf<AppendOptions>;

export interface AppendResult {
  readonly streamId: string;
  /** The version of the commit's first event. */
  readonly firstVersion: number;
  /** The version of the commit's last event, and so the stream's version. */
  readonly version: number;
  /** The position of the first event; null if it is not known yet. */
  readonly position: number | null;
  /** Recorded on this device only. The versions may still change. */
  readonly pending: boolean;
  /** The same events were recorded before. The versions are the original ones. */
  readonly duplicate: boolean;
}

export interface ReadStreamOptions {
  /**
   * A version, inclusive. Behind the stream's version there are no events: forwards, nothing is read; backwards, reading begins with the last
   * event. Default: the first version if forwards, the last if backwards.
   */
  readonly from?: number;
  /** The order of the events. Default: `"forwards"`. */
  readonly direction?: "forwards" | "backwards";
  /** The greatest number of events. Default: all. */
  readonly limit?: number;
}

export type StreamEvent = RecordedEvent & {
  /** Recorded on this device only. */
  readonly pending: boolean;
};

export interface StreamSlice {
  readonly streamId: string;
  /** The stream's version, pending events included. */
  readonly version: number;
  readonly events: readonly StreamEvent[];
}

export interface ReadAllOptions {
  /** A position, exclusive. If the store holds no event after it, there is nothing to read. Default: 0. */
  readonly after?: number;
  /** Only events of streams of these categories. Default: all. */
  readonly category?: string | readonly string[];
  /** Only events of these streams. Default: all. */
  readonly stream?: string | readonly string[];
  /** Only events of these types. Default: all. */
  readonly type?: string | readonly string[];
  /** The greatest number of events. Default: all up to the head at the time of reading. */
  readonly limit?: number;
}

export interface EventStore {
  /**
   * Appends events to one stream: all of them or none.
   *
   * @throws VersionConflictError if the stream's version is not `expectedVersion`
   * @throws EventIdReusedError if another event has one of the ids already
   * @throws InvalidRequestError, PayloadTooLargeError before anything is written
   */
  appendToStream(streamId: string, events: readonly NewEvent[], options?: AppendOptions): Promise<AppendResult>;
  /** @throws StreamNotFoundError if nothing was ever appended to the stream */
  readStream(streamId: string, options?: ReadStreamOptions): Promise<StreamSlice>;
  /** Confirmed events in position order. */
  readAll(options?: ReadAllOptions): AsyncIterable<ConfirmedEvent>;
  close(): Promise<void>;
}
