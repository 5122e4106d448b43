/** `headwater/http`: a store at the edge, used directly over HTTP, for servers and scripts that have no IndexedDB. */

import { aboutStream, LogMismatchError, PositionAheadError, remedyOf, StoreClosedError } from "../shared/errors.ts";
import { withCause } from "../shared/event/causation.ts";
import { assertNewEvents, type Commit, parseCommand, parseCommit } from "../shared/event/commit.ts";
import type { ConfirmedEvent, NewEvent, RecordedEvent } from "../shared/event/event.ts";
import { completeVersions } from "../shared/event/event-checks.ts";
import type { EventTypes } from "../shared/event/event-types.ts";
import { completeLimits, type Limits } from "../shared/limits.ts";
import * as option from "../shared/options.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import { retryWait, timeLimit } from "../shared/wait.ts";
import type { Answer } from "../shared/wire/answer.ts";
import type { Schema } from "../shared/wire/schema.ts";
import {
  appendAnswer,
  type CommandAnswer,
  commandAnswer,
  type FeedPage,
  type PushResult,
  type StoreHealth,
  type StreamList,
  type StreamPage,
  storeHealth,
  streamList,
  streamPage,
} from "../shared/wire/wire.ts";
import { edgeOptions } from "./edge/connection-options.ts";
import { createEdgeCall, type EdgeCall, type EdgeOptions, pushCommits, queryOf, readFeed } from "./edge/edge-call.ts";
import { tailFeed } from "./edge/tail.ts";
import {
  APPEND_OPTIONS,
  type AppendOptions,
  type AppendResult,
  type EventStore,
  type StreamEvent,
  type StreamSlice,
} from "./event-store.ts";
import {
  APPEND_CALL,
  CALL_OPTIONS,
  type CallOptions,
  CONNECT_OPTIONS,
  type CommandedBy,
  type ConnectOptions,
  HANDLE_CALL,
  type HandleCall,
  LIST_OPTIONS,
  type ListStreamsOptions,
  READ_FEED_OPTIONS,
  READ_STREAM_CALL,
  type ReadFeedOptions,
  type ReadStreamCall,
  TAIL_OPTIONS,
  type TailOptions,
} from "./http-options.ts";
import { checkEvents, createReader } from "./streams/event-checks.ts";
import { newId } from "./tools/new-id.ts";
import { newEvents } from "./tools/options.ts";
import { pause } from "./tools/pause.ts";

export type { CommandRefusal, PendingCommand } from "../shared/decider/command.ts";
export type { CommandDefinition, CommandDefinitions, CommandUpcaster, CommandUpcasters } from "../shared/decider/command-versions.ts";
export type { CommandContext, DecidedEvent, Decider } from "../shared/decider/decider.ts";
export {
  CommandRefusedError,
  CommandRequiredError,
  CommitsLostError,
  DeciderVersionError,
  type ErrorCode,
  type ErrorDetails,
  EventIdReusedError,
  ForbiddenError,
  HeadwaterError,
  InvalidRequestError,
  LogMismatchError,
  OwnerMismatchError,
  PayloadTooLargeError,
  PositionAheadError,
  type Remedy,
  StorageDamagedError,
  StorageFailedError,
  StoreClosedError,
  StoreDeletedError,
  StoreFullError,
  StreamDivergedError,
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
export type { CommandAnswer, DamagedSpan, PushResult, StoreHealth, StreamList } from "../shared/wire/wire.ts";
export type { ConnectionOptions } from "./edge/connection-options.ts";
export type {
  AppendOptions,
  AppendResult,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StreamEvent,
  StreamSlice,
} from "./event-store.ts";
export type {
  CallOptions,
  CommandedBy,
  ConnectOptions,
  HandleCall,
  ListStreamsOptions,
  ReadFeedOptions,
  ReadStreamCall,
  TailOptions,
} from "./http-options.ts";
export type { EventTypeOptions } from "./streams/event-codec.ts";

/** Waits before a request is sent again, in milliseconds. The wait doubles each time, and a random half of it is left out. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5_000;

/**
 * Returns a store at the edge. It makes no request by itself.
 *
 * @throws InvalidRequestError for an option that is wrong; `field` names it
 */
export function connectStore(options: ConnectOptions): EdgeStore {
  return new EdgeStore(options);
}

/**
 * A store at the edge. Every call may throw UnauthenticatedError and ForbiddenError, and UnavailableError when its retries are used up. With
 * event types, a call that reads events may throw UpcastError.
 */
export class EdgeStore implements EventStore {
  readonly #edge: Omit<EdgeOptions, "signal">;
  readonly #limits: Limits;
  readonly #retries: number;
  readonly #eventTypes: EventTypes | undefined;
  readonly #read: <E extends RecordedEvent>(event: E) => E;
  readonly #closing = new AbortController();
  /** Aborted if the store is closed. */
  readonly #ending: AbortSignal;

  /** @internal Use `connectStore`. */
  constructor(given: ConnectOptions) {
    const options = option.completeOptions(given, CONNECT_OPTIONS);
    const { limits, retries, eventTypes, onUnknownEvent, signal } = options;
    this.#edge = edgeOptions(options);
    this.#ending = anyOf(this.#closing.signal, signal);
    this.#limits = completeLimits(limits);
    this.#retries = retries;
    this.#eventTypes = eventTypes;
    this.#read = eventTypes === undefined ? (event) => event : createReader(eventTypes, onUnknownEvent);
  }

  async appendToStream(streamId: string, events: readonly NewEvent[], given: AppendOptions & CallOptions = {}): Promise<AppendResult> {
    const id = parseStreamId(streamId);
    try {
      const { signal, ...options } = option.completeOptions(given, APPEND_CALL);
      assertNewEvents(events);
      const checked = this.#eventTypes === undefined ? events : await checkEvents(this.#eventTypes, events, { limits: this.#limits });
      const { expectedVersion, events: complete } = this.prepare(id, checked, options);
      const answer = await this.#send((call) => call(`/streams/${id}`, appendAnswer, { expectedVersion, events: complete }), signal);
      return { ...answer, pending: false };
    } catch (error) {
      throw aboutStream(error, id);
    }
  }

  /**
   * Returns a commit for `push`, complete with its event ids, so that it stays the same commit if it is sent again. Its form is checked
   * here. Schemas, which may be asynchronous, are checked by `push`.
   *
   * @throws InvalidRequestError, PayloadTooLargeError
   */
  prepare(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Commit {
    const { expectedVersion, causedBy } = option.completeOptions(options, APPEND_OPTIONS);
    const caused = withCause(assertNewEvents(events), causedBy);
    const given = this.#eventTypes === undefined ? caused : completeVersions(this.#eventTypes, caused);
    return parseCommit({ streamId, expectedVersion, events: given }, newEvents(), this.#limits);
  }

  /**
   * Pushes commits of at most `limits.pushStreams` streams in one request. Each commit has its own result, in the order of `commits`.
   *
   * @throws PayloadTooLargeError if it is too much for one request
   * @throws InvalidRequestError if the event types reject a commit; nothing is sent then
   */
  async push(commits: readonly Commit[], options: CallOptions = {}): Promise<readonly PushResult[]> {
    const { signal } = option.completeOptions(options, CALL_OPTIONS);
    if (this.#eventTypes !== undefined) {
      for (const [i, { events }] of commits.entries()) {
        await checkEvents(this.#eventTypes, events, { limits: this.#limits, field: `commits[${i}].` });
      }
    }
    const { results } = await this.#send((call) => pushCommits(call, commits), signal);
    return results;
  }

  /**
   * Gives a command to the decider that the edge has for the stream's category. The edge decides it once, however often it is sent.
   *
   * @param decider its name and version; none of its functions is called here
   * @returns the events that the edge has decided; none if the command changes nothing
   * @throws CommandRefusedError if the decider refuses it: `refusal` is what it threw
   * @throws DeciderVersionError if the edge has another version of the decider
   * @throws InvalidRequestError if the edge has no decider for the category
   */
  async handle<Command>(
    streamId: string,
    decider: CommandedBy<Command>,
    command: NoInfer<Command>,
    given: HandleCall = {},
  ): Promise<CommandAnswer> {
    const stream = parseStreamId(streamId);
    try {
      const { signal, id } = option.completeOptions(given, HANDLE_CALL);
      const request = parseCommand({ id, decider: decider.name, version: decider.version, data: command }, this.#limits, "", newId);
      return await this.#send((call) => call(`/streams/${stream}/commands`, commandAnswer, request), signal);
    } catch (error) {
      throw aboutStream(error, stream);
    }
  }

  async readStream(streamId: string, options: ReadStreamCall = {}): Promise<StreamSlice> {
    const id = parseStreamId(streamId);
    const given = option.completeOptions(options, READ_STREAM_CALL);
    const { direction, signal, limit: most = Number.POSITIVE_INFINITY, from: first, onDamaged } = given;
    let left = most;
    let from = first;
    const events: StreamEvent[] = [];
    for (;;) {
      const limit = Math.min(left, this.#limits.pageEvents);
      const query = queryOf({ from, limit, direction, damaged: onDamaged && "skip" });
      const page = await this.#send((call) => call(`/streams/${id}${query}`, streamPage), signal);
      for (const event of page.events) events.push(this.#read({ ...event, pending: false }));
      for (const span of page.damaged ?? []) onDamaged?.(span);
      left -= page.events.length;
      const last = reachedBy(page, direction);
      if (last === undefined || left <= 0 || last === (direction === "forwards" ? page.version : 1))
        return { streamId: id, version: page.version, events };
      from = direction === "forwards" ? last + 1 : last - 1;
    }
  }

  /**
   * Yields events in position order, up to the head at the time of the first request. Behind the head there are none.
   *
   * @throws LogMismatchError, PositionAheadError if the store's log is replaced while it is read
   */
  async *readAll(options: ReadFeedOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const { after, limit = Number.POSITIVE_INFINITY, signal, onDamaged, ...given } = option.completeOptions(options, READ_FEED_OPTIONS);
    const filter = onDamaged === undefined ? given : { ...given, damaged: "skip" as const };
    let left = limit;
    let position = after;
    let log: string | undefined;
    let end = Number.POSITIVE_INFINITY;
    while (left > 0 && position < end) {
      const query = { ...filter, after: position, limit: Math.min(left, this.#limits.pageEvents), ...(log === undefined ? {} : { log }) };
      let page: FeedPage;
      try {
        page = await this.#send((call) => readFeed(call, query), signal);
      } catch (error) {
        // There is nothing to read behind the head, as in any event store. While the log is read, its end can't come nearer.
        if (error instanceof PositionAheadError && log === undefined) return;
        throw error;
      }
      if (log !== undefined && page.log !== log) throw new LogMismatchError();
      if (log === undefined) end = page.head;
      log = page.log;
      for (const span of page.damaged ?? []) if (span.first <= end) onDamaged?.(span);
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
   * @throws PositionAheadError if `after` is behind the head: the log is not the one that the position is of
   * @throws LogMismatchError if the store's log is replaced meanwhile
   */
  async *tail(options: TailOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    const { signal, ...query } = option.completeOptions(options, TAIL_OPTIONS);
    const ended = anyOf(this.#ending, signal);
    for await (const event of tailFeed({ ...this.#edge, signal: ended }, query)) yield this.#read(event);
  }

  /** Lists streams in the order of their ids: at most `limit`, and only ids after `after`. */
  async listStreams(options: ListStreamsOptions = {}): Promise<StreamList> {
    const { signal, ...query } = option.completeOptions(options, LIST_OPTIONS);
    return this.#send((call) => call(`/streams${queryOf(query)}`, streamList), signal);
  }

  /** The log's last position. */
  async head(options: CallOptions = {}): Promise<number> {
    const { signal } = option.completeOptions(options, CALL_OPTIONS);
    return (await this.#send((call) => readFeed(call, { limit: 1 }), signal)).head;
  }

  /** The log's id and size, and how many events the streams hold that the log does not have yet. */
  async health(options: CallOptions = {}): Promise<StoreHealth> {
    const { signal } = option.completeOptions(options, CALL_OPTIONS);
    return this.#send((call) => call("/health", storeHealth), signal);
  }

  /** @internal Any other request of the edge, with the same retries. Without a `method` it is a POST if there is a body, and else a GET. */
  request<T>(path: string, schema: Schema<T>, body?: unknown, method?: string): Promise<T> {
    return this.#send((call) => call(path, schema, body, method), undefined);
  }

  /** Ends running requests, their retries and all iterations of `tail`. Calls that run, and later ones, reject with StoreClosedError. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  /** Sends a request, and again after errors that may pass. @param signal the caller's own */
  async #send<T>(request: (call: EdgeCall) => Promise<Answer<T>>, signal: AbortSignal | undefined): Promise<T> {
    const limit = timeLimit(this.#edge.timeout) ?? Number.POSITIVE_INFINITY;
    const began = performance.now();
    const left = () => limit - (performance.now() - began);
    const ended = anyOf(this.#ending, signal);
    for (let attempt = 0; ; attempt++) {
      this.#assertOpen();
      signal?.throwIfAborted();
      const answer = await request(createEdgeCall({ ...this.#edge, timeout: Math.max(1, Math.ceil(left())), signal: ended }));
      if (answer.kind === "message") return answer.message;
      this.#assertOpen();
      signal?.throwIfAborted();
      const { error } = answer;
      if (remedyOf(error.code) !== "retry" || attempt >= this.#retries) throw error;
      const backoff = Math.min(FIRST_WAIT * 2 ** attempt, LONGEST_WAIT) * (0.5 + Math.random() / 2);
      const wait = Math.max(backoff, retryWait(error.details.retryAfter));
      if (wait >= left()) throw error;
      await pause(wait, ended);
    }
  }

  /** @throws StoreClosedError */
  #assertOpen(): void {
    if (this.#ending.aborted) throw new StoreClosedError();
  }
}

/** The last version that a page of a stream has, or leaves out. */
function reachedBy({ events, damaged = [] }: StreamPage, direction: "forwards" | "backwards"): number | undefined {
  const versions = events.slice(-1).map(({ version }): number => version);
  if (direction === "forwards") versions.push(...damaged.map(({ last }) => last));
  else versions.push(...damaged.map(({ first }) => first));
  if (versions.length === 0) return undefined;
  return direction === "forwards" ? Math.max(...versions) : Math.min(...versions);
}

function anyOf(signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other]);
}
