/**
 * The wire: every message between a device and the edge. Each is defined and checked only here. The edge checks requests, the
 * device checks answers. Unknown fields are ignored, so that an older side understands a newer one.
 *
 * Messages are schemas of valibot. Making a schema has no side effects, so a bundle contains only the messages that it uses.
 * The events within a request are checked by `parseCommit`, because a schema can't express their rules.
 */
import * as v from "valibot";
import { errorOf, type HeadwaterError, InvalidRequestError } from "../errors.ts";
import { code, expectedVersion, json, match, metadata, position, type Schema, version, wholeNumber } from "./schema.ts";

/** The version of the protocol. It is raised with every change that an older side would misread. */
export const PROTOCOL_VERSION = 1;

/** `POST /v1/{store}/streams/{streamId}` */
export const appendRequest = v.object({ expectedVersion: v.optional(v.unknown(), "any"), events: v.array(v.unknown()) });

export const appendAnswer = v.object({
  streamId: v.string(),
  firstVersion: wholeNumber,
  version: wholeNumber,
  /** The position of the first event; null if the log could not be reached. */
  position: v.nullable(wholeNumber),
  duplicate: v.boolean(),
});

/** A command, for an edge that has the decider of the stream's category. */
const command = { decider: v.unknown(), version: v.unknown(), data: v.optional(v.unknown(), null) };
/** `POST /v1/{store}/streams/{streamId}/commands` */
export const commandRequest = v.object({ id: v.optional(v.unknown()), ...command });

/** `POST /v1/{store}/commits` */
export const pushRequest = v.object({
  /** The id of the log that the device follows. If the edge has another log, it rejects the push. */
  log: v.optional(v.string()),
  /** The device's cursor and the mark there. If the log is shorter, or has another history up to there, the edge rejects the push too. */
  position: v.optional(wholeNumber),
  mark: v.optional(v.string()),
  commits: v.array(
    v.object({
      streamId: v.unknown(),
      expectedVersion: v.optional(v.unknown(), "any"),
      events: v.unknown(),
      /** The command that the events were decided for. An edge that has its decider decides it itself, and records what it decides. */
      command: v.optional(v.object({ id: v.unknown(), ...command })),
    }),
  ),
});

/** An event as it was decided, without its place. */
const decidedEvent = v.object({
  id: v.string(),
  type: v.string(),
  schemaVersion: wholeNumber,
  data: json,
  metadata,
  occurredAt: v.string(),
});

/** Why a command was refused: `CommandRefusal` of `decider/command.ts`. */
export const commandRefusal = v.object({ name: v.string(), message: v.string(), data: json });

/** What became of a command: the events from `firstVersion` on. None: the command changes nothing. */
export const commandAnswer = v.object({ ...appendAnswer.entries, events: v.array(decidedEvent) });

const taken = {
  streamId: v.string(),
  firstVersion: wholeNumber,
  version: wholeNumber,
  position: v.nullable(wholeNumber),
  /** The events that were recorded for the commit's command, if they are others than those that were sent. */
  decided: v.optional(v.array(decidedEvent)),
};

export const pushResult = v.variant("status", [
  v.object({ status: v.literal("committed"), ...taken }),
  v.object({ status: v.literal("duplicate"), ...taken }),
  v.object({
    status: v.literal("conflict"),
    streamId: v.string(),
    code: v.literal("version-conflict"),
    expectedVersion,
    actualVersion: wholeNumber,
    detail: v.string(),
  }),
  v.object({
    status: v.literal("rejected"),
    streamId: v.string(),
    code,
    detail: v.string(),
    field: v.optional(v.string()),
    eventId: v.optional(v.string()),
    /** The decider and the version that its command is for, if that is why. */
    decider: v.optional(v.string()),
  }),
  /** The commit's command: its decider at the edge has thrown this. */
  v.object({ status: v.literal("refused"), streamId: v.string(), ...commandRefusal.entries }),
  v.object({ status: v.literal("skipped"), streamId: v.string() }),
]);

export const pushAnswer = v.object({ log: v.nullable(v.string()), results: v.array(pushResult) });

export const recordedEvent = v.object({
  id: v.string(),
  streamId: v.string(),
  version,
  position: v.nullable(position),
  type: v.string(),
  schemaVersion: wholeNumber,
  data: json,
  metadata,
  occurredAt: v.string(),
  recordedAt: v.nullable(v.string()),
  actor: v.nullable(v.string()),
});
export const confirmedEvent = v.object({ ...recordedEvent.entries, position, recordedAt: v.string() });

/** Positions, or versions of a stream, that can't be read because storage is damaged. Both are inclusive. */
const damagedSpan = v.object({ first: wholeNumber, last: wholeNumber });

/** `GET /v1/{store}/streams/{streamId}` */
export const streamPage = v.object({
  streamId: v.string(),
  version: wholeNumber,
  events: v.array(recordedEvent),
  /** Versions that the page skipped. Present if there are any, and the query skips them. */
  damaged: v.optional(v.array(damagedSpan)),
});

/** `GET /v1/{store}/streams` */
export const streamList = v.object({
  streams: v.array(v.object({ streamId: v.string(), version: wholeNumber })),
  /** The `after` of the request for the next part of the list; null at the end. */
  next: v.nullable(v.string()),
});

/** `GET /v1/{store}/feed` */
export const feedPage = v.object({
  log: v.string(),
  events: v.array(confirmedEvent),
  /** The position up to which the page covers the log, even if no event matched. */
  position: wholeNumber,
  /** The log's mark at `position`, see `mark.ts`; an older edge sends none. */
  mark: v.optional(v.string()),
  /** The log's last position. */
  head: wholeNumber,
  /** Of the events, see `event/digest.ts`; an older edge sends none. */
  digest: v.optional(v.string()),
  /** Positions that the page skipped. Present if there are any, and the query skips them. */
  damaged: v.optional(v.array(damagedSpan)),
});

/**
 * The feed socket: `GET /v1/{store}/feed` as a WebSocket. A reader requests one page at a time, so that it never receives more than it
 * has room for:
 *
 *     {"pull": {"after": 17}}    ──►
 *                                ◄──  a page: at once if there are events after `after`, otherwise as soon as there are some
 *     {"auth": {"token": "…"}}   ──►  new credentials, before the old ones expire
 *                                ◄──  {"renewed": {"expiresAt": …}}
 *                                ◄──  {"problem": {…}}, as the answer to either
 *     ping                       ──►
 *                                ◄──  pong
 *
 * The URL has the filter; each pull has the reader's position.
 */
export const socketMessage = v.object({ pull: v.optional(v.unknown()), auth: v.optional(v.unknown()) });

/** The fields have the same meaning as in a query of the feed (`FeedQuery`). */
export const socketPull = v.object({
  after: v.optional(wholeNumber),
  limit: v.optional(wholeNumber),
  log: v.optional(v.string()),
  mark: v.optional(v.string()),
  seen: v.optional(wholeNumber),
  within: v.optional(v.unknown()),
});

export const socketAuth = v.object({ token: v.string() });

/** `GET /v1/{store}/health` */
export const storeHealth = v.object({
  log: v.string(),
  head: wholeNumber,
  streams: wholeNumber,
  events: wholeNumber,
  /** Events that streams have reported and the log does not have yet. */
  unpublished: wholeNumber,
  /** Milliseconds since the oldest of them was recorded; 0 if there is none. */
  oldestUnpublishedAgeMs: wholeNumber,
  /** Streams that hold other events than the log; an older edge does not count them. */
  diverged: v.optional(wholeNumber),
  /**
   * The history that the log once had, by its id, head and mark at that time, and does not have any more; null if it has all. Left out by an
   * older edge, and if it can't be known at the moment.
   */
  lostHistory: v.optional(v.nullable(v.object({ log: v.string(), head: wholeNumber, mark: v.optional(v.string()) }))),
  /** Subscriptions that have handled more than the log has. Present if the edge has subscriptions. */
  subscriptionsAhead: v.optional(wholeNumber),
});

/** `SubscriptionStatus` of `subscription.ts` */
export const subscriptionStatus = v.object({
  name: v.string(),
  state: v.picklist(["running", "waiting", "stopped"]),
  position: wholeNumber,
  head: wholeNumber,
  lag: wholeNumber,
  attempts: wholeNumber,
  retryAt: v.nullable(v.string()),
  error: v.nullable(v.string()),
  deadLetters: wholeNumber,
});

/** `GET /v1/{store}/subscriptions` */
export const subscriptionList = v.object({ subscriptions: v.array(subscriptionStatus) });

/** `GET /v1/{store}/subscriptions/{name}` */
export const subscriptionDetail = v.object({
  subscription: subscriptionStatus,
  /** In position order: `DeadLetter` of `subscription.ts`. */
  deadLetters: v.array(
    v.object({
      id: v.string(),
      streamId: v.string(),
      version: wholeNumber,
      position: wholeNumber,
      type: v.string(),
      error: v.string(),
      at: v.string(),
    }),
  ),
  /** The `after` of the next page; null at the end. */
  next: v.nullable(wholeNumber),
});

/** `POST /v1/{store}/subscriptions/{name}/reset` */
export const resetRequest = v.object({ position: wholeNumber });

/** `POST /v1/{store}/subscriptions/{name}/replay`: all dead letters, or the one at a position. */
export const replayRequest = v.object({ position: v.optional(wholeNumber) });

/** The fields of an error on the wire. */
const problem = v.object({
  /** The stream that the error is about. The `detail` begins with it. */
  streamId: v.optional(v.string()),
  code,
  detail: v.optional(v.string()),
  field: v.optional(v.string()),
  expectedVersion: v.optional(expectedVersion),
  actualVersion: v.optional(wholeNumber),
  eventId: v.optional(v.string()),
  version: v.optional(wholeNumber),
  position: v.optional(wholeNumber),
  log: v.optional(v.string()),
  head: v.optional(wholeNumber),
  retryAfter: v.optional(v.number()),
  refusal: v.optional(commandRefusal),
  decider: v.optional(v.string()),
});
/** RFC 9457, `application/problem+json`. */
export const problemDocument = v.object({
  type: v.optional(v.string()),
  title: v.optional(v.string()),
  status: v.optional(wholeNumber),
  ...problem.entries,
});

export type AppendRequest = v.InferOutput<typeof appendRequest>;
export type AppendAnswer = v.InferOutput<typeof appendAnswer>;
export type CommandAnswer = v.InferOutput<typeof commandAnswer>;
export type PushRequest = v.InferOutput<typeof pushRequest>;
export type PushResult = v.InferOutput<typeof pushResult>;
export type PushAnswer = v.InferOutput<typeof pushAnswer>;
export type StreamPage = v.InferOutput<typeof streamPage>;
export type DamagedSpan = v.InferOutput<typeof damagedSpan>;
export type StreamList = v.InferOutput<typeof streamList>;
export type FeedPage = v.InferOutput<typeof feedPage>;
export type StoreHealth = v.InferOutput<typeof storeHealth>;
export type SubscriptionList = v.InferOutput<typeof subscriptionList>;
export type SubscriptionDetail = v.InferOutput<typeof subscriptionDetail>;
export type ProblemDocument = v.InferOutput<typeof problemDocument>;

/**
 * A query of the feed. `mark` is the mark that the reader expects the log to have at the position `seen`. `seen` is how far the
 * reader has read the log; default: `after`. `within` is a list of streams and categories. `since` and `until` are times of recording,
 * ISO 8601 UTC, both inclusive.
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
  /** `skip`: pages go on behind positions that can't be read, and name them. Otherwise a page fails there. */
  readonly damaged?: "skip" | undefined;
}

/** A copy of `value` with the fields of the schema. @throws InvalidRequestError that names the first field that does not match it */
export function parseMessage<T>(schema: Schema<T>, value: unknown): T {
  const result = match(schema, value);
  if (result.success) return result.output;
  throw new InvalidRequestError(explain(result.issues), { field: fieldOf(result.issues[0]) });
}

/** Why a message does not match its schema, e.g. `position must be a whole number from 0, not -1.` */
export function explain([issue]: Issues): string {
  return `${fieldOf(issue)} ${complaint(issue)}.`;
}

type Issues = readonly [v.BaseIssue<unknown>, ...unknown[]];

function fieldOf(issue: v.BaseIssue<unknown>): string {
  return v.getDotPath(issue) ?? "body";
}

function complaint({ type, message, expected, received }: v.BaseIssue<unknown>): string {
  if (received === "undefined") return "is missing";
  // What a schema of `schema.ts` expects is its message: valibot itself says "unknown".
  return `must be ${type === "custom" ? message : expected}, not ${received}`;
}

export const parseAppendRequest = (value: unknown): AppendRequest => parseMessage(appendRequest, value);
export const parsePushRequest = (value: unknown): PushRequest => parseMessage(pushRequest, value);
export const parseFeedPage = (value: unknown): FeedPage => parseMessage(feedPage, value);

/** The typed error of a problem document; undefined if it is not a problem document that this side knows. */
export function errorFromProblem(value: unknown): HeadwaterError | undefined {
  const result = match(problem, value);
  return result.success ? errorOf(result.output.code, result.output.detail, result.output) : undefined;
}
