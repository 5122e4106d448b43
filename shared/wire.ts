/**
 * The wire: every message between a device and the edge, defined and checked here once. Requests are checked by the edge,
 * answers by the device; unknown fields are ignored, so that an older side understands a newer one.
 *
 * Events within a request are left to `parseCommit`, which checks what no schema can say.
 */
import * as v from "valibot";
import { type ErrorCode, type ErrorDetails, errorOf, type HeadwaterError, InvalidRequestError, isErrorCode } from "./errors.ts";
import type { EventMetadata } from "./event.ts";
import type { Json } from "./json.ts";
import { isOrdinal, type Position, type Version } from "./order.ts";

/** Raised with every change that an older side would misread. */
export const PROTOCOL_VERSION = 1;

/** A whole number from 0. */
export const ordinal = v.custom<number>(isOrdinal, "a whole number from 0");
export const version = v.custom<Version>(isOrdinal, "a whole number from 0");
export const position = v.custom<Position>(isOrdinal, "a whole number from 0");
/** Data came out of JSON, and a page has a thousand events: it is not walked through again. */
export const json = v.custom<Json>(() => true);
export const metadata = v.custom<EventMetadata>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "an object",
);
const text = v.string();
const expectedVersion = v.union([ordinal, v.picklist(["no-stream", "stream-exists", "any"])]);

/** `POST /v1/{store}/streams/{streamId}` */
export const appendRequest = v.object({ expectedVersion: v.optional(v.unknown(), "any"), events: v.array(v.unknown()) });

export const appendAnswer = v.object({
  streamId: text,
  firstVersion: ordinal,
  version: ordinal,
  /** Of the first event; null while the log could not be reached. */
  position: v.nullable(ordinal),
  duplicate: v.boolean(),
});

/** `POST /v1/{store}/commits` */
export const pushRequest = v.object({
  /** The log that the device follows; another one at the edge refuses the push. */
  log: v.optional(text),
  /** How far it has followed it, and the mark there: a log that is shorter, or has another history up to there, refuses too. */
  position: v.optional(ordinal),
  mark: v.optional(text),
  commits: v.array(v.object({ streamId: v.unknown(), expectedVersion: v.optional(v.unknown(), "any"), events: v.unknown() })),
});

export const code = v.custom<ErrorCode>(isErrorCode, "a known error code");
const taken = { streamId: text, firstVersion: ordinal, version: ordinal, position: v.nullable(ordinal) };

/** A union and not a variant, which is 300 bytes more in every bundle; `status` tells the members apart. */
export const pushResult = v.union([
  v.object({ status: v.literal("committed"), ...taken }),
  v.object({ status: v.literal("duplicate"), ...taken }),
  v.object({
    status: v.literal("conflict"),
    streamId: text,
    code: v.literal("version-conflict"),
    expectedVersion,
    actualVersion: ordinal,
    detail: text,
  }),
  v.object({ status: v.literal("rejected"), streamId: text, code, detail: text, field: v.optional(text), eventId: v.optional(text) }),
  v.object({ status: v.literal("skipped"), streamId: text }),
]);

export const pushAnswer = v.object({ log: v.nullable(text), results: v.array(pushResult) });

export const recordedEvent = v.object({
  id: text,
  streamId: text,
  version,
  position: v.nullable(position),
  type: text,
  schemaVersion: ordinal,
  data: json,
  metadata,
  occurredAt: text,
  recordedAt: v.nullable(text),
  actor: v.nullable(text),
});
export const confirmedEvent = v.object({ ...recordedEvent.entries, position, recordedAt: text });

/** `GET /v1/{store}/streams/{streamId}` */
export const streamPage = v.object({ streamId: text, version: ordinal, events: v.array(recordedEvent) });

/** `GET /v1/{store}/streams` */
export const streamList = v.object({
  streams: v.array(v.object({ streamId: text, version: ordinal })),
  /** What to give as `after` for the next page; null at the end. */
  next: v.nullable(text),
});

/** `GET /v1/{store}/feed` */
export const feedPage = v.object({
  log: text,
  events: v.array(confirmedEvent),
  /** How far the page looked, also where nothing matched. */
  position: ordinal,
  /** The log's mark at `position`, see `mark.ts`; an older edge tells none. */
  mark: v.optional(text),
  /** The log's last position. */
  head: ordinal,
});

/** `GET /v1/{store}/health` */
export const storeHealth = v.object({
  log: text,
  head: ordinal,
  streams: ordinal,
  events: ordinal,
  /** Events that streams have told of and the log lacks. */
  unpublished: ordinal,
  /** Milliseconds since the oldest of them was recorded; 0 where there is none. */
  oldestUnpublishedAgeMs: ordinal,
});

/** RFC 9457, `application/problem+json`. */
export const problemDocument = v.object({
  type: v.optional(text),
  title: v.optional(text),
  status: v.optional(ordinal),
  code,
  detail: v.optional(text),
  field: v.optional(text),
  expectedVersion: v.optional(expectedVersion),
  actualVersion: v.optional(ordinal),
  eventId: v.optional(text),
  log: v.optional(text),
  head: v.optional(ordinal),
  retryAfter: v.optional(v.number()),
});

export type AppendRequest = v.InferOutput<typeof appendRequest>;
export type AppendAnswer = v.InferOutput<typeof appendAnswer>;
export type PushRequest = v.InferOutput<typeof pushRequest>;
export type PushResult = v.InferOutput<typeof pushResult>;
export type PushAnswer = v.InferOutput<typeof pushAnswer>;
export type StreamPage = v.InferOutput<typeof streamPage>;
export type StreamList = v.InferOutput<typeof streamList>;
export type FeedPage = v.InferOutput<typeof feedPage>;
export type StoreHealth = v.InferOutput<typeof storeHealth>;
export type ProblemDocument = v.InferOutput<typeof problemDocument>;

/**
 * What can be asked of the feed. `mark` is the one that the log is believed to have at `after`; `within` names streams and
 * categories side by side; `since` and `until` are times of recording, ISO 8601 UTC.
 */
export interface FeedQuery {
  readonly after?: number;
  readonly limit?: number;
  readonly log?: string;
  readonly mark?: string;
  readonly within?: string | readonly string[];
  readonly category?: string | readonly string[];
  readonly stream?: string | readonly string[];
  readonly type?: string | readonly string[];
  readonly correlation?: string;
  readonly since?: string;
  readonly until?: string;
}

type Schema<T> = v.GenericSchema<unknown, T>;

/** @throws InvalidRequestError that names the first field which is not as the schema says */
export function parseMessage<T>(schema: Schema<T>, value: unknown): T {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? "body";
  throw new InvalidRequestError(`${field}: expected ${issue.expected ?? "something else"}, received ${issue.received}.`, { field });
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
  const result = v.safeParse(problemDocument, value);
  if (!result.success) return undefined;
  return errorOf(result.output.code, result.output.detail, result.output);
}
