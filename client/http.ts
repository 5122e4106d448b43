/** `headwater/http`: a store at the edge, used directly over HTTP, for servers and scripts that have no IndexedDB. */

import { InvalidRequestError, LogMismatchError, remedyOf, StoreClosedError } from "../shared/errors.ts";
import { withCause } from "../shared/event/causation.ts";
import { type Commit, parseCommit } from "../shared/event/commit.ts";
import type { ConfirmedEvent, NewEvent, RecordedEvent } from "../shared/event/event.ts";
import { completeVersions } from "../shared/event/event-checks.ts";
import type { EventTypes } from "../shared/event/event-types.ts";
import { completeLimits, type Limits, parseCount } from "../shared/limits.ts";
import { isOrdinal } from "../shared/order.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import type { Answer } from "../shared/wire/answer.ts";
import type { Schema } from "../shared/wire/schema.ts";
import {
  appendAnswer,
  type PushResult,
  type StoreHealth,
  type StreamList,
  storeHealth,
  streamList,
  streamPage,
} from "../shared/wire/wire.ts";
import { createEdgeCall, type EdgeCall, type EdgeOptions, pushCommits, queryOf, readFeed } from "./edge/edge-call.ts";
import { tailFeed } from "./edge/tail.ts";
import type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
import { checkEvents, createReader, type EventTypeOptions } from "./streams/event-checks.ts";
import { newEvents } from "./tools/options.ts";

export {
  type ErrorCode,
  type ErrorDetails,
  EventIdReusedError,
  ForbiddenError,
  HeadwaterError,
  InvalidRequestError,
  LogMismatchError,
  PayloadTooLargeError,
  PositionAheadError,
  type Remedy,
  StorageFailedError,
  StoreClosedError,
  StoreFullError,
  StreamNotFoundError,
  TooManyRequestsError,
  UnauthenticatedError,
  UnavailableError,
  VersionConflictError,
} from "../shared/errors.ts";
export type { Cause } from "../shared/event/causation.ts";
export type { Commit } from "../shared/event/commit.ts";
export type { ConfirmedEvent, EventBody, EventMetadata, NewEvent, RecordedEvent, RecordingFields } from "../shared/event/event.ts";
export {
  type DataOf,
  type EventType,
  type EventTypeDefinition,
  type EventTypeDefinitions,
  type EventTypes,
  type StandardSchema,
  UpcastError,
  type Upcaster,
} from "../shared/event/event-types.ts";
export type { ExpectedVersion } from "../shared/expected-version.ts";
export type { Json } from "../shared/json.ts";
export type { Limits } from "../shared/limits.ts";
export type { Position, Version } from "../shared/order.ts";
export type { StreamId } from "../shared/stream-id.ts";
export type { PushResult, StoreHealth, StreamList } from "../shared/wire/wire.ts";
export type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
export type { EventTypeOptions } from "./streams/event-checks.ts";

export interface ConnectOptions extends EventTypeOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /**
   * Returns the bearer token. It is called before each request, and once more if the edge rejects the token. Leave it out if the edge
   * requires none.
   */
  readonly token?: () => string | Promise<string>;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Limits to use instead of the defaults. The edge checks its own limits again. */
  readonly limits?: Partial<Limits>;
  /** How often a request is sent again after an error that may pass. Default: 5. */
  readonly retries?: number;
}

export interface TailOptions extends Omit<ReadAllOptions, "limit"> {
  /** Ends the iteration when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Waits before a request is sent again, in milliseconds. The wait doubles each time, and a random half of it is left out. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5_000;

/** Returns a store at the edge. It makes no request by itself. */
export function connectStore(options: ConnectOptions): EdgeStore {
  return new EdgeStore(options);
}

/**
 * A store at the edge. Every call may throw UnauthenticatedError and ForbiddenError, and UnavailableError when its retries are used up. With
 * event types, a call that reads events may throw UpcastError.
 */
export class EdgeStore implements EventStore {
  readonly #edge: Omit<EdgeOptions, "signal">;
  readonly #call: EdgeCall;
  readonly #limits: Limits;
  readonly #retries: number;
  readonly #eventTypes: EventTypes | undefined;
  readonly #read: <E extends RecordedEvent>(event: E) => E;
  readonly #closing = new AbortController();

  /** @internal Use `connectStore`. */
  constructor({ limits, retries = 5, eventTypes, onUnknownEvent, ...edge }: ConnectOptions) {
    this.#edge = edge;
    this.#call = createEdgeCall(edge);
    this.#limits = completeLimits(limits);
    this.#retries = retries;
    this.#eventTypes = eventTypes;
    this.#read = eventTypes === undefined ? (event) => event : createReader(eventTypes, onUnknownEvent);
  }

  async appendToStream(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<AppendResult> {
    const checked = this.#eventTypes === undefined ? events : await checkEvents(this.#eventTypes, events, { limits: this.#limits });
    const { expectedVersion, events: complete } = this.prepare(streamId, checked, options);
    const answer = await this.#send((call) => call(`/streams/${streamId}`, appendAnswer, { expectedVersion, events: complete }));
    return { ...answer, pending: false };
  }

  /**
   * Returns a commit for `push`, complete with its event ids, so that it stays the same commit if it is sent again. Its form is checked
   * here. Schemas, which may be asynchronous, are checked by `push`.
   *
   * @throws InvalidRequestError, PayloadTooLargeError
   */
  prepare(streamId: string, events: readonly NewEvent[], { expectedVersion = "any", causedBy }: AppendOptions = {}): Commit {
    const caused = withCause(events, causedBy);
    const given = this.#eventTypes === undefined ? caused : completeVersions(this.#eventTypes, caused);
    return parseCommit({ streamId, expectedVersion, events: given }, newEvents(), this.#limits);
  }

  /**
   * Pushes commits of at most `limits.pushStreams` streams in one request. Each commit has its own result, in the order of `commits`.
   *
   * @throws PayloadTooLargeError if it is too much for one request
   * @throws InvalidRequestError if the event types reject a commit; nothing is sent then
   */
  async push(commits: readonly Commit[]): Promise<readonly PushResult[]> {
    if (this.#eventTypes !== undefined) {
      for (const [i, { events }] of commits.entries()) {
        await checkEvents(this.#eventTypes, events, { limits: this.#limits, field: `commits[${i}].` });
      }
    }
    const { results } = await this.#send((call) => pushCommits(call, commits));
    return results;
  }

  async readStream(streamId: string, options: ReadStreamOptions = {}): Promise<StreamSlice> {
    const id = parseStreamId(streamId);
    const { direction = "forwards" } = options;
    let left = parseCount(options.limit, "limit") ?? Number.POSITIVE_INFINITY;
    let from = parseCount(options.from, "from");
    const events: StreamEvent[] = [];
    for (;;) {
      const limit = Math.min(left, this.#limits.pageEvents);
      const query = queryOf({ from, limit, direction });
      const page = await this.#send((call) => call(`/streams/${id}${query}`, streamPage));
      for (const event of page.events) events.push(this.#read({ ...event, pending: false }));
      left -= page.events.length;
      const last = page.events.at(-1)?.version;
      if (last === undefined || left <= 0 || last === (direction === "forwards" ? page.version : 1))
        return { streamId: id, version: page.version, events };
      from = direction === "forwards" ? last + 1 : last - 1;
    }
  }

  /**
   * Yields events in position order, up to the head at the time of the first request.
   *
   * @throws LogMismatchError if the store's log is replaced while it is read
   */
  async *readAll({
    after = 0,
    limit,
    ...filter
  }: ReadAllOptions & { readonly correlation?: string } = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    let left = parseCount(limit, "limit") ?? Number.POSITIVE_INFINITY;
    if (!isOrdinal(after)) throw new InvalidRequestError("after: expected a position, a whole number from 0.", { field: "after" });
    let position = after;
    let log: string | undefined;
    let end = Number.POSITIVE_INFINITY;
    while (left > 0 && position < end) {
      const query = { ...filter, after: position, limit: Math.min(left, this.#limits.pageEvents), ...(log === undefined ? {} : { log }) };
      const page = await this.#send((call) => readFeed(call, query));
      if (log !== undefined && page.log !== log) throw new LogMismatchError();
      if (log === undefined) end = page.head;
      log = page.log;
      for (const event of page.events) {
        if (event.position > end) return;
        left--;
        yield this.#read(event);
      }
      if (page.position === position) return;
      position = page.position;
    }
  }

  /**
   * Yields events as they come, until the caller stops iterating. If the connection breaks, it connects again. It waits for a slow reader.
   *
   * @param options `after` is a position, exclusive; default: 0. `signal` ends the iteration
   * @throws LogMismatchError if the store's log is replaced meanwhile
   */
  async *tail({ signal, ...query }: TailOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const { after = 0 } = query;
    if (!isOrdinal(after)) throw new InvalidRequestError("after: expected a position, a whole number from 0.", { field: "after" });
    const ended = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    for await (const event of tailFeed({ ...this.#edge, signal: ended }, query)) yield this.#read(event);
  }

  /** Lists streams in the order of their ids: at most `limit`, and only ids after `after`. */
  listStreams(query: { category?: string; after?: string; limit?: number } = {}): Promise<StreamList> {
    return this.#send((call) => call(`/streams${queryOf(query)}`, streamList));
  }

  /** The log's last position. */
  async head(): Promise<number> {
    return (await this.#send((call) => readFeed(call, { limit: 1 }))).head;
  }

  /** The log's id and size, and how many events the streams hold that the log does not have yet. */
  health(): Promise<StoreHealth> {
    return this.#send((call) => call("/health", storeHealth));
  }

  /** @internal Any other request of the edge, with the same retries. It is a POST if there is a body. */
  request<T>(path: string, schema: Schema<T>, body?: unknown): Promise<T> {
    return this.#send((call) => call(path, schema, body));
  }

  /** Ends retries and all iterations of `tail`. Later calls reject with StoreClosedError. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #send<T>(request: (call: EdgeCall) => Promise<Answer<T>>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      if (this.#closing.signal.aborted) throw new StoreClosedError();
      const answer = await request(this.#call);
      if (answer.kind === "message") return answer.message;
      const { error } = answer;
      if (remedyOf(error.code) !== "retry" || attempt >= this.#retries) throw error;
      const backoff = Math.min(FIRST_WAIT * 2 ** attempt, LONGEST_WAIT) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, Math.max(backoff, (error.details.retryAfter ?? 0) * 1000)));
    }
  }
}
