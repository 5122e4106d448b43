/** What every store of streams offers, whatever lies below it: IndexedDB, the edge over HTTP, or memory. */
import type { Cause } from "../shared/event/causation.ts";
import type { ConfirmedEvent, NewEvent, RecordedEvent } from "../shared/event/event.ts";
import type { ExpectedVersion } from "../shared/expected-version.ts";

export interface AppendOptions {
  /** What the writer believes of the stream. Default: `"any"`. */
  readonly expectedVersion?: ExpectedVersion;
  /** The event that led to these: they continue its correlation. What their own metadata says stands. */
  readonly causedBy?: Cause;
}

export interface AppendResult {
  readonly streamId: string;
  /** The version of the commit's first event. */
  readonly firstVersion: number;
  /** The version of its last one, and so the stream's. */
  readonly version: number;
  /** The position of the first event; null where it is not known yet. */
  readonly position: number | null;
  /** Recorded on this device only; the version may still move. */
  readonly pending: boolean;
  /** The same events were there already; the versions are the original ones. */
  readonly duplicate: boolean;
}

export interface ReadStreamOptions {
  /** A version, inclusive. Default: the first forwards, the last backwards. */
  readonly from?: number;
  /** Default: `"forwards"`. */
  readonly direction?: "forwards" | "backwards";
  /** Events at most. Default: all there are. */
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
  /** A position, exclusive. Default: 0. */
  readonly after?: number;
  readonly category?: string | readonly string[];
  readonly stream?: string | readonly string[];
  readonly type?: string | readonly string[];
  /** Events at most. Default: all up to the head at the time of reading. */
  readonly limit?: number;
}

export interface EventStore {
  /**
   * Appends events to one stream: all of them or none.
   *
   * @throws VersionConflictError when the stream is not where `expectedVersion` says
   * @throws EventIdReusedError when one of the ids stands for another event
   * @throws InvalidRequestError, PayloadTooLargeError before anything is written
   */
  appendToStream(streamId: string, events: readonly NewEvent[], options?: AppendOptions): Promise<AppendResult>;
  /** @throws StreamNotFoundError when nothing was ever appended to it */
  readStream(streamId: string, options?: ReadStreamOptions): Promise<StreamSlice>;
  /** Confirmed events in position order. */
  readAll(options?: ReadAllOptions): AsyncIterable<ConfirmedEvent>;
  close(): Promise<void>;
}
