/** The options of `connectStore`, and of the calls of its store. */
import { isObject } from "../shared/json.ts";
import type { Limits } from "../shared/limits.ts";
import * as option from "../shared/options.ts";
import type { DamagedSpan } from "../shared/wire/wire.ts";
import { CONNECTION_OPTIONS, type ConnectionOptions } from "./edge/connection-options.ts";
import { APPEND_OPTIONS, type AppendOptions, type ReadAllOptions, type ReadStreamOptions } from "./event-store.ts";
import { READ_ALL_OPTIONS, READ_STREAM_OPTIONS } from "./storage/read-options.ts";
import { EVENT_TYPE_OPTIONS, type EventTypeOptions } from "./streams/event-codec.ts";

export interface ConnectOptions extends ConnectionOptions, EventTypeOptions {
  /**
   * Milliseconds that a request may take together with its retries; then its call rejects. A call that reads several pages makes a request
   * for each. 0 or `Infinity`: as long as it takes. Default: 30,000.
   */
  readonly timeout?: number;
  /** Closes the store when it is aborted, as `close()` does. */
  readonly signal?: AbortSignal;
  /** Limits to use instead of the defaults. The edge checks its own limits again. Default: `DEFAULT_LIMITS`, each limit by itself. */
  readonly limits?: Partial<Limits>;
  /** How often a request is sent again after an error that may pass. Default: 5. */
  readonly retries?: number;
}

/** What every call accepts besides its own options. */
export interface CallOptions {
  /** Ends the call when it is aborted: it rejects with the signal's reason, and a running request is aborted. */
  readonly signal?: AbortSignal;
}

/** A decider, as far as who gives it a command has to know it. */
export interface CommandedBy<Command> {
  readonly name: string;
  readonly version: number;
  /** In types only: it is not called. */
  decide?(command: Command, state: never, context: never): unknown;
}

export interface HandleCall extends CallOptions {
  /** The command's id, a UUID: its idempotency key in the stream. Default: a new one, which is kept if the request is sent again. */
  readonly id?: string;
}

export interface TailOptions extends Omit<ReadAllOptions, "limit"> {
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal;
}

export interface ListStreamsOptions extends CallOptions {
  /** Only streams of this category. Default: all. */
  readonly category?: string;
  /** A stream id, exclusive. Default: from the first stream. */
  readonly after?: string;
  /** The greatest number of streams. Default: 100, which the edge decides. */
  readonly limit?: number;
}

export interface ReadFeedOptions extends ReadAllOptions, CallOptions {
  /** Only events of this correlation. Default: all. */
  readonly correlation?: string;
  /**
   * Called with the first and the last of each range of positions that the edge can't read, because its storage is damaged. They are skipped
   * then. Without it, reading rejects there with StorageDamagedError.
   */
  readonly onDamaged?: (span: DamagedSpan) => void;
}

export interface ReadStreamCall extends ReadStreamOptions, CallOptions {
  /**
   * Called with the first and the last of each range of versions that the edge can't read, because its storage is damaged. They are left out
   * then. Without it, reading rejects there with StorageDamagedError.
   */
  readonly onDamaged?: (span: DamagedSpan) => void;
}

const abortSignal: option.Option = { what: "an AbortSignal", accepts: (value) => isObject(value) && typeof value["aborted"] === "boolean" };

export const CONNECT_OPTIONS = {
  ...CONNECTION_OPTIONS,
  timeout: option.withPreset(option.timeout, 30_000),
  signal: abortSignal,
  limits: option.object,
  retries: option.withPreset(option.ordinal, 5),
  ...EVENT_TYPE_OPTIONS,
} satisfies option.OptionsOf<ConnectOptions>;

export const CALL_OPTIONS = { signal: abortSignal } satisfies option.OptionsOf<CallOptions>;
export const APPEND_CALL = { ...APPEND_OPTIONS, ...CALL_OPTIONS } satisfies option.OptionsOf<AppendOptions & CallOptions>;
export const HANDLE_CALL = { id: option.text, ...CALL_OPTIONS } satisfies option.OptionsOf<HandleCall>;
export const READ_STREAM_CALL = {
  ...READ_STREAM_OPTIONS,
  onDamaged: option.callback,
  ...CALL_OPTIONS,
} satisfies option.OptionsOf<ReadStreamCall>;
export const READ_FEED_OPTIONS = {
  ...READ_ALL_OPTIONS,
  correlation: option.text,
  onDamaged: option.callback,
  ...CALL_OPTIONS,
} satisfies option.OptionsOf<ReadFeedOptions>;
const { limit: _, ...PARTS } = READ_ALL_OPTIONS;
export const TAIL_OPTIONS = { ...PARTS, ...CALL_OPTIONS } satisfies option.OptionsOf<TailOptions>;
export const LIST_OPTIONS = {
  category: option.text,
  after: option.text,
  limit: option.count,
  ...CALL_OPTIONS,
} satisfies option.OptionsOf<ListStreamsOptions>;
