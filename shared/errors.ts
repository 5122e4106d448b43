/**
 * The closed list of what can go wrong, grouped by what the caller does about it. Codes are stable and travel over the wire. HTTP statuses
 * belong to the edge: `worker/report/problem.ts`.
 */
import { assert } from "./assert.ts";
import type { CommandRefusal } from "./decider/command.ts";
import { DETAILS, type ErrorDetails } from "./error-details.ts";
import type { ExpectedVersion } from "./expected-version.ts";

export type { ErrorDetails };

/** What the caller does about an error. */
export type Remedy =
  /** The request is wrong and stays wrong. Correct it. */
  | "mend"
  /** Get a new token. */
  | "authenticate"
  /** Nothing can be done here: the credentials do not allow it, or the app has a bug. */
  | "stop"
  /** Somebody else was first. Read what they did, and decide again. */
  | "rebase"
  /** The app has to decide: the edge holds another history, the store was deleted there, or the device has lost commits. */
  | "ask"
  /** Send less at once. */
  | "split"
  /** The same request may succeed later. */
  | "retry"
  /** The app's version and the edge's do not fit. Reload the app, or wait until the edge has the other version. */
  | "update"
  /** Who runs the edge has to repair its storage. Until then the same request fails. */
  | "repair";

export type ErrorCode =
  | "invalid-request"
  | "unauthenticated"
  | "forbidden"
  | "stream-not-found"
  | "version-conflict"
  | "event-id-reused"
  | "log-mismatch"
  | "position-ahead"
  | "payload-too-large"
  | "too-many-requests"
  | "unavailable"
  | "store-full"
  | "storage-damaged"
  | "stream-diverged"
  | "store-deleted"
  | "storage-failed"
  | "store-closed"
  | "owner-mismatch"
  | "commits-lost"
  | "command-refused"
  | "command-required"
  | "decider-version";

/** Every error that Headwater throws on purpose. `code` is stable; `message` is for people. */
export abstract class HeadwaterError extends Error {
  static readonly code: ErrorCode;
  static readonly remedy: Remedy;
  /** The message if there is none that says more. */
  static readonly title: string;

  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(message?: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message ?? new.target.title, options);
    const { code } = new.target;
    // Made from the code, since a minifier changes the names of classes.
    this.name = `${code.replaceAll(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase())}Error`;
    this.code = code;
    this.details = details;
  }

  /** What the caller does about the error. */
  get remedy(): Remedy {
    return remedyOf(this.code);
  }
}

/** The request is not one that the store understands. */
export class InvalidRequestError extends HeadwaterError {
  static override readonly code = "invalid-request";
  static override readonly remedy = "mend";
  static override readonly title = "The store does not understand the request: correct the part that `field` names.";

  /** The part of the request that is wrong, e.g. `events[0].type`. Empty if there is no single one. */
  get field(): string {
    return this.details.field ?? "";
  }
}

/** The edge does not know who is asking. */
export class UnauthenticatedError extends HeadwaterError {
  static override readonly code = "unauthenticated";
  static override readonly remedy = "authenticate";
  static override readonly title = "The edge does not know who sent the request: send a valid token.";
}

/** The credentials do not allow the request. */
export class ForbiddenError extends HeadwaterError {
  static override readonly code = "forbidden";
  static override readonly remedy = "stop";
  static override readonly title = "The credentials do not allow this request: send a token whose grants allow it.";
}

/** The stream has no event. */
export class StreamNotFoundError extends HeadwaterError {
  static override readonly code = "stream-not-found";
  static override readonly remedy = "stop";
  static override readonly title = "The stream does not exist: no event was ever appended to it.";
}

/** The stream is at `actualVersion`, and the writer expected `expectedVersion`. Nothing was appended. */
export class VersionConflictError extends HeadwaterError {
  static override readonly code = "version-conflict";
  static override readonly remedy = "rebase";
  static override readonly title = "The stream is not at the expected version: read the new events and decide again.";

  get expectedVersion(): ExpectedVersion {
    return this.details.expectedVersion ?? "any";
  }
  get actualVersion(): number {
    return this.details.actualVersion ?? 0;
  }
}

/** An event id of the commit belongs to another event of the stream; `details.eventId` is that id. */
export class EventIdReusedError extends HeadwaterError {
  static override readonly code = "event-id-reused";
  static override readonly remedy = "stop";
  static override readonly title = "Another event of the stream already has this event id: give each event its own id.";
}

/** The edge holds another log than the one that was followed so far. */
export class LogMismatchError extends HeadwaterError {
  static override readonly code = "log-mismatch";
  static override readonly remedy = "ask";
  static override readonly title =
    "The edge has another history than the one followed so far: its log was restored or replaced. Let the app decide whether to follow it.";
}

/** The requested position is behind the end of the log. */
export class PositionAheadError extends HeadwaterError {
  static override readonly code = "position-ahead";
  static override readonly remedy = "ask";
  static override readonly title =
    "The requested position is beyond the end of the log: the edge has less history than before. Let the app decide.";
}

/** More than a limit allows. */
export class PayloadTooLargeError extends HeadwaterError {
  static override readonly code = "payload-too-large";
  static override readonly remedy = "split";
  static override readonly title = "The request exceeds a limit: send less at once.";
}

/** Too many requests. `details.retryAfter` is how many seconds to wait, if that is known. */
export class TooManyRequestsError extends HeadwaterError {
  static override readonly code = "too-many-requests";
  static override readonly remedy = "retry";
  static override readonly title = "Too many requests: wait before the next one.";
}

/** The edge, or the log behind it, can't be reached at the moment. Sending the same again is safe. */
export class UnavailableError extends HeadwaterError {
  static override readonly code = "unavailable";
  static override readonly remedy = "retry";
  static override readonly title = "The store can't be reached at the moment: retry later. Sending the same request again is safe.";
}

/** No room is left: at the edge, or in the browser's quota. */
export class StoreFullError extends HeadwaterError {
  static override readonly code = "store-full";
  static override readonly remedy = "stop";
  static override readonly title = "The store has no room left: it accepts no new events. Reading still works.";
}

/**
 * What the edge has stored at a place is not what it wrote there: storage has changed it. `position` is the first damaged position of the
 * log, or `version` the first damaged version of the stream `details.streamId`. A reader may skip it: docs/operations.md.
 */
export class StorageDamagedError extends HeadwaterError {
  static override readonly code = "storage-damaged";
  static override readonly remedy = "repair";
  static override readonly title = "The edge's storage is damaged: who runs the edge has to repair it.";

  /** Undefined if a stream is damaged. */
  get position(): number | undefined {
    return this.details.position;
  }
  /** Undefined if the log is damaged. */
  get version(): number | undefined {
    return this.details.version;
  }
}

/**
 * A stream and its store's log hold different events, or the log has more of the stream than the stream has: one of the two was put back to
 * an older copy. The stream takes no appends.
 */
export class StreamDivergedError extends HeadwaterError {
  static override readonly code = "stream-diverged";
  static override readonly remedy = "repair";
  static override readonly title =
    "The stream and the store's log hold different events: one of them was put back to an older copy. Who runs the edge has to repair it.";

  get version(): number | undefined {
    return this.details.version;
  }
}

/**
 * An operator has deleted the store at the edge: docs/operations.md. Its name is not used again. A device keeps all that it has, and its
 * pending commits stay pending.
 */
export class StoreDeletedError extends HeadwaterError {
  static override readonly code = "store-deleted";
  static override readonly remedy = "ask";
  static override readonly title =
    "The store was deleted at the edge and takes nothing more: export what this device has, or use another store.";
}

/** The device's own storage failed. Nothing of the write was kept. */
export class StorageFailedError extends HeadwaterError {
  static override readonly code = "storage-failed";
  static override readonly remedy = "retry";
  static override readonly title = "This device could not write to its own storage, and nothing of the append was stored: retry later.";
}

/** The store was closed before the call, or during it. */
export class StoreClosedError extends HeadwaterError {
  static override readonly code = "store-closed";
  static override readonly remedy = "stop";
  static override readonly title = "The store is closed: open it again.";
}

/**
 * The device's store belongs to another person (`field` is `person`) or to another address (`sync.url`). `owner` says to whom or to which,
 * `given` who or which it was used with. Nothing was sent, fetched or appended.
 */
export class OwnerMismatchError extends HeadwaterError {
  static override readonly code = "owner-mismatch";
  static override readonly remedy = "authenticate";
  static override readonly title = "The device's store belongs to another person or address: use the token or the address of its owner.";

  get field(): string {
    return this.details.field ?? "";
  }
  get owner(): string {
    return this.details.owner ?? "";
  }
  get given(): string {
    return this.details.given ?? "";
  }
}

/** Commits that were on this device alone are gone with its database, and the app has not taken note of it yet: `status.lost` counts them. */
export class CommitsLostError extends HeadwaterError {
  static override readonly code = "commits-lost";
  static override readonly remedy = "ask";
  static override readonly title = "What is left is synced. Tell the person what status.lost says, then call dismissLoss().";
}

/** The edge's decider has refused the command. The message is the one of the app's own error. Nothing was recorded. */
export class CommandRefusedError extends HeadwaterError {
  static override readonly code = "command-refused";
  static override readonly remedy = "stop";
  static override readonly title = "The command was refused.";

  get refusal(): CommandRefusal {
    return this.details.refusal ?? { name: "Error", message: this.message, data: null };
  }
}

/**
 * The edge decides the commands of this category, and the caller may not append events to it without a command. A device's commit waits until
 * a version of the app that sends commands takes over.
 */
export class CommandRequiredError extends HeadwaterError {
  static override readonly code = "command-required";
  static override readonly remedy = "update";
  static override readonly title =
    "The edge decides the commands of this category: reload the app, or use a token whose grants allow append.";
}

/** The command is for another version of its decider than the edge has. It waits until both have the same, or the edge has an upcaster for it. */
export class DeciderVersionError extends HeadwaterError {
  static override readonly code = "decider-version";
  static override readonly remedy = "update";
  static override readonly title =
    "The command is for another version of the decider than the edge has: reload the app, or deploy the edge.";
}

const CLASSES = [
  InvalidRequestError,
  UnauthenticatedError,
  ForbiddenError,
  StreamNotFoundError,
  VersionConflictError,
  EventIdReusedError,
  LogMismatchError,
  PositionAheadError,
  PayloadTooLargeError,
  TooManyRequestsError,
  UnavailableError,
  StoreFullError,
  StorageDamagedError,
  StreamDivergedError,
  StoreDeletedError,
  StorageFailedError,
  StoreClosedError,
  OwnerMismatchError,
  CommitsLostError,
  CommandRefusedError,
  CommandRequiredError,
  DeciderVersionError,
] as const;

export const ERROR_CODES: readonly ErrorCode[] = /* @__PURE__ */ CLASSES.map(({ code }) => code);

export function isErrorCode(value: unknown): value is ErrorCode {
  return CLASSES.some(({ code }) => code === value);
}

export function remedyOf(code: ErrorCode): Remedy {
  return classOf(code).remedy;
}

/** One sentence for people, without what is particular about one error. */
export function titleOf(code: ErrorCode): string {
  return classOf(code).title;
}

function classOf(code: ErrorCode): (typeof CLASSES)[number] {
  const known = CLASSES.find((candidate) => candidate.code === code);
  assert(known !== undefined, "each code has its class");
  return known;
}

/** The typed error for a code and its details, as the wire or a decision has them. Other fields of `given` do not belong into an error. */
export function errorOf(code: ErrorCode, message: string | undefined, given: ErrorDetails = {}): HeadwaterError {
  const details = DETAILS.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]));
  return new (classOf(code))(message, Object.fromEntries(details));
}

/** The fields of an error's problem document, without the HTTP status, which the edge adds. */
export interface ProblemFields extends ErrorDetails {
  readonly code: ErrorCode;
  readonly detail: string;
}

export function problemOf(error: HeadwaterError): ProblemFields {
  return { code: error.code, detail: error.message, ...error.details };
}

/** The typed error again. */
export function errorFrom({ code, detail, ...details }: ProblemFields): HeadwaterError {
  return errorOf(code, detail, details);
}

/** Errors of these codes are about the one stream that a request names, or about what was sent to it. */
const OF_A_STREAM: readonly ErrorCode[] = [
  "version-conflict",
  "event-id-reused",
  "stream-not-found",
  "payload-too-large",
  "invalid-request",
  "forbidden",
  "command-required",
  "decider-version",
];

/**
 * The same error with its stream in `details` and at the beginning of the message: an app that has appended to many streams at once must
 * know which append failed. Errors that are not about a stream, or name theirs already, stay as they are.
 *
 * @param streamId the stream that the request names
 */
export function aboutStream(error: unknown, streamId: string): unknown {
  if (!(error instanceof HeadwaterError) || error.details.streamId !== undefined || !OF_A_STREAM.includes(error.code)) return error;
  // As options, the error has its own cause.
  return new (classOf(error.code))(`${streamId}: ${error.message}`, { ...error.details, streamId }, error);
}
