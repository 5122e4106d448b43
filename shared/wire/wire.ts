/**
 * The wire: every message between a device and the edge, defined and checked here once. Requests are checked by the edge,
 * answers by the device; unknown fields are ignored, so that an older side understands a newer one.
 *
 * Messages are shapes, see `shape.ts`: plain data, so that a bundle has the ones that it uses and no others.
 * Events within a request are left to `parseCommit`, which checks what no shape can say.
 */
import { type ErrorCode, type ErrorDetails, errorOf, type HeadwaterError, InvalidRequestError } from "../errors.ts";
import type { DeadLetter, SubscriptionStatus } from "../subscription.ts";
import { Mismatch, match, type Shape, type Shaped } from "./shape.ts";

/** Raised with every change that an older side would misread. */
export const PROTOCOL_VERSION = 1;

/** `POST /v1/{store}/streams/{streamId}` */
export const appendRequest = { expectedVersion: "unknown=any", events: ["unknown"] } as const;

export const appendAnswer = {
  streamId: "string",
  firstVersion: "whole number",
  version: "whole number",
  /** Of the first event; null while the log could not be reached. */
  position: "whole number|null",
  duplicate: "boolean",
} as const;

/** `POST /v1/{store}/commits` */
export const pushRequest = {
  /** The log that the device follows; another one at the edge refuses the push. */
  log: "string?",
  /** How far it has followed it, and the mark there: a log that is shorter, or has another history up to there, refuses too. */
  position: "whole number?",
  mark: "string?",
  commits: [{ streamId: "unknown", expectedVersion: "unknown=any", events: "unknown" }],
} as const;

const taken = { streamId: "string", firstVersion: "whole number", version: "whole number", position: "whole number|null" } as const;

export const pushResult = [
  "status",
  {
    committed: taken,
    duplicate: taken,
    conflict: {
      streamId: "string",
      code: '"version-conflict"',
      expectedVersion: "expectedVersion",
      actualVersion: "whole number",
      detail: "string",
    },
    rejected: { streamId: "string", code: "code", detail: "string", field: "string?", eventId: "string?" },
    skipped: { streamId: "string" },
  },
] as const;

export const pushAnswer = { log: "string|null", results: [pushResult] } as const;

export const recordedEvent = {
  id: "string",
  streamId: "string",
  version: "version",
  position: "position|null",
  type: "string",
  schemaVersion: "whole number",
  data: "json",
  metadata: "object",
  occurredAt: "string",
  recordedAt: "string|null",
  actor: "string|null",
} as const;
export const confirmedEvent = { ...recordedEvent, position: "position", recordedAt: "string" } as const;

/** `GET /v1/{store}/streams/{streamId}` */
export const streamPage = { streamId: "string", version: "whole number", events: [recordedEvent] } as const;

/** `GET /v1/{store}/streams` */
export const streamList = {
  streams: [{ streamId: "string", version: "whole number" }],
  /** What to give as `after` for the next page; null at the end. */
  next: "string|null",
} as const;

/** `GET /v1/{store}/feed` */
export const feedPage = {
  log: "string",
  events: [confirmedEvent],
  /** How far the page looked, also where nothing matched. */
  position: "whole number",
  /** The log's mark at `position`, see `mark.ts`; an older edge tells none. */
  mark: "string?",
  /** The log's last position. */
  head: "whole number",
} as const;

/**
 * The live feed, `GET /v1/{store}/feed` as a WebSocket. A reader asks for one page at a time, so that it is never sent more than it
 * has room for:
 *
 *     {"pull": {"after": 17}}    ──►
 *                                ◄──  a page: at once where there is something past `after`, else as soon as there is
 *     {"auth": {"token": "…"}}   ──►  new credentials, before the old ones expire
 *                                ◄──  {"renewed": {"expiresAt": …}}
 *                                ◄──  {"problem": {…}}, to either
 *     ping                       ──►
 *                                ◄──  pong
 *
 * The address says what is filtered by; a pull, where the reader stands.
 */
export const socketMessage = { pull: "unknown?", auth: "unknown?" } as const;

/** As in a query of the feed. */
export const socketPull = {
  after: "whole number?",
  limit: "whole number?",
  log: "string?",
  mark: "string?",
  seen: "whole number?",
  within: "unknown?",
} as const;

export const socketAuth = { token: "string" } as const;

/** `GET /v1/{store}/health` */
export const storeHealth = {
  log: "string",
  head: "whole number",
  streams: "whole number",
  events: "whole number",
  /** Events that streams have told of and the log lacks. */
  unpublished: "whole number",
  /** Milliseconds since the oldest of them was recorded; 0 where there is none. */
  oldestUnpublishedAgeMs: "whole number",
} as const;

/** `SubscriptionStatus` of `subscription.ts` */
export const subscriptionStatus = {
  name: "string",
  state: "string",
  position: "whole number",
  head: "whole number",
  lag: "whole number",
  attempts: "whole number",
  retryAt: "string|null",
  error: "string|null",
  deadLetters: "whole number",
} as const;

/** `GET /v1/{store}/subscriptions` */
export const subscriptionList = { subscriptions: [subscriptionStatus] } as const;

/** `GET /v1/{store}/subscriptions/{name}` */
export const subscriptionDetail = {
  subscription: subscriptionStatus,
  /** In position order: `DeadLetter` of `subscription.ts`. */
  deadLetters: [
    {
      id: "string",
      streamId: "string",
      version: "whole number",
      position: "whole number",
      type: "string",
      error: "string",
      at: "string",
    },
  ],
  next: "whole number|null",
} as const;

/** `POST /v1/{store}/subscriptions/{name}/reset` */
export const resetRequest = { position: "whole number" } as const;

/** `POST /v1/{store}/subscriptions/{name}/replay`: all dead letters, or the one at a position. */
export const replayRequest = { position: "whole number?" } as const;

/** What an error says of itself. */
const problem = {
  code: "code",
  detail: "string?",
  field: "string?",
  expectedVersion: "expectedVersion?",
  actualVersion: "whole number?",
  eventId: "string?",
  log: "string?",
  head: "whole number?",
  retryAfter: "number?",
} as const;
/** RFC 9457, `application/problem+json`. */
export const problemDocument = { type: "string?", title: "string?", status: "whole number?", ...problem } as const;

export type AppendRequest = Shaped<typeof appendRequest>;
export type AppendAnswer = Shaped<typeof appendAnswer>;
export type PushRequest = Shaped<typeof pushRequest>;
export type PushResult = Shaped<typeof pushResult>;
export type PushAnswer = Shaped<typeof pushAnswer>;
export type StreamPage = Shaped<typeof streamPage>;
export type StreamList = Shaped<typeof streamList>;
export type FeedPage = Shaped<typeof feedPage>;
export type StoreHealth = Shaped<typeof storeHealth>;
export interface SubscriptionList {
  readonly subscriptions: readonly SubscriptionStatus[];
}

/** With a page of the dead letters; `next` is the `after` of the next page, null at the end. */
export interface SubscriptionDetail {
  readonly subscription: SubscriptionStatus;
  readonly deadLetters: readonly DeadLetter[];
  readonly next: number | null;
}
export type ProblemDocument = Shaped<typeof problemDocument>;

/**
 * What can be asked of the feed. `mark` is the one that the log is believed to have at `seen`: how far the asker has come, `after`
 * unless said; `within` names streams and categories side by side; `since` and `until` are times of
 * recording, ISO 8601 UTC.
 */
export interface FeedQuery {
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  readonly log?: string | undefined;
  readonly mark?: string | undefined;
  readonly seen?: number | undefined;
  readonly within?: string | readonly string[] | undefined;
  readonly category?: string | readonly string[] | undefined;
  readonly stream?: string | readonly string[] | undefined;
  readonly type?: string | readonly string[] | undefined;
  readonly correlation?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** @throws InvalidRequestError that names the first field which is not as the shape says */
export function parseMessage<S extends Shape>(shape: S, value: unknown): Shaped<S> {
  const message = match(shape, value);
  if (!(message instanceof Mismatch)) return message;
  const field = message.path.join(".") || "body";
  throw new InvalidRequestError(`${field}: expected ${message.expected}, received ${tell(message.received)}.`, { field });
}

function tell(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Array.isArray(value) ? "array" : "object";
}

export const parseAppendRequest = (value: unknown): AppendRequest => parseMessage(appendRequest, value);
export const parsePushRequest = (value: unknown): PushRequest => parseMessage(pushRequest, value);
export const parseAppendAnswer = (value: unknown): AppendAnswer => parseMessage(appendAnswer, value);
export const parsePushAnswer = (value: unknown): PushAnswer => parseMessage(pushAnswer, value);
export const parseStreamPage = (value: unknown): StreamPage => parseMessage(streamPage, value);
export const parseStreamList = (value: unknown): StreamList => parseMessage(streamList, value);
export const parseStoreHealth = (value: unknown): StoreHealth => parseMessage(storeHealth, value);
export const parseFeedPage = (value: unknown): FeedPage => parseMessage(feedPage, value);

/** An error's document, but for its HTTP status, which is the edge's matter. */
export function problemOf(error: HeadwaterError): { code: ErrorCode; detail: string } & ErrorDetails {
  return { code: error.code, detail: error.message, ...error.details };
}

/** The typed error of a problem document; undefined where it is none that this side knows. */
export function errorFromProblem(value: unknown): HeadwaterError | undefined {
  const told = match(problem, value);
  if (told instanceof Mismatch) return undefined;
  return errorOf(told.code, told.detail, told);
}
