/**
 * The closed list of what can go wrong, grouped by what the caller does about it. Codes are stable and travel over the
 * wire; HTTP statuses are the edge's matter and live there.
 */
import { assert } from "./assert.ts";
import type { ExpectedVersion } from "./expected-version.ts";

/** What the caller does about an error. */
export type Remedy =
  /** The request is wrong and stays wrong: mend it. */
  | "mend"
  /** Get a new token. */
  | "authenticate"
  /** Nothing to be done here: the credentials do not allow it, or the app has a bug. */
  | "stop"
  /** Somebody else was first: look at what they did and decide again. */
  | "rebase"
  /** The history at the edge is another one: keep everything, sync nothing, ask the app. */
  | "ask"
  /** Send less at once. */
  | "split"
  /** The same request may succeed later. */
  | "retry";

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
  | "storage-failed"
  | "store-closed";

/** What an error says besides its sentence, by name, as it stands in the problem document of the wire. */
export interface ErrorDetails {
  readonly field?: string | undefined;
  readonly expectedVersion?: ExpectedVersion | undefined;
  readonly actualVersion?: number | undefined;
  readonly eventId?: string | undefined;
  readonly log?: string | undefined;
  readonly head?: number | undefined;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
}

/** Every error that Headwater throws on purpose. `code` is stable; the sentence in `message` is for people. */
export class HeadwaterError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** @param message default: the code */
  constructor(code: ErrorCode, message: string = code, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    // Made from the code, since a minifier changes the names of classes.
    this.name = `${code.replaceAll(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase())}Error`;
    this.code = code;
    this.details = details;
  }
}

/** What is said of two codes where a device finds out by itself; the others' sentences come from the edge (`error-titles.ts`). */
export const OTHER_HISTORY = "The edge has another history.";
export const STORE_CLOSED = "The store was closed; open it again.";

interface ErrorClass {
  readonly code: ErrorCode;
  readonly remedy: Remedy;
  new (message?: string | undefined, details?: ErrorDetails | undefined, options?: ErrorOptions): HeadwaterError;
}

/** What the class of a code is made of. @param preset what it says where it is thrown without a sentence */
function errorClass(code: ErrorCode, remedy: Remedy, preset: string = code): ErrorClass {
  return class extends HeadwaterError {
    static readonly code = code;
    static readonly remedy = remedy;
    constructor(message: string = preset, details?: ErrorDetails, options?: ErrorOptions) {
      super(code, message, details, options);
    }
  };
}

/** The request is not one that the store understands; `field` says which part. */
export class InvalidRequestError extends errorClass("invalid-request", "mend") {
  get field(): string {
    return this.details.field ?? "";
  }
}

/** The edge does not know who is asking. */
export class UnauthenticatedError extends errorClass("unauthenticated", "authenticate") {}

/** The credentials do not allow what was asked. */
export class ForbiddenError extends errorClass("forbidden", "stop") {}

/** The stream has no event. */
export class StreamNotFoundError extends errorClass("stream-not-found", "stop") {}

/** The stream was at `actualVersion` where the writer expected `expectedVersion`; nothing was appended. */
export class VersionConflictError extends errorClass("version-conflict", "rebase") {
  get expectedVersion(): ExpectedVersion {
    return this.details.expectedVersion ?? "any";
  }
  get actualVersion(): number {
    return this.details.actualVersion ?? 0;
  }
}

/** An event id of the commit stands in the stream already, for something else; `details.eventId` says which. */
export class EventIdReusedError extends errorClass("event-id-reused", "stop") {}

/** The log that was followed so far is not the log at the edge. */
export class LogMismatchError extends errorClass("log-mismatch", "ask", OTHER_HISTORY) {}

/** The position asked for lies beyond the end of the log. */
export class PositionAheadError extends errorClass("position-ahead", "ask") {}

/** More than a limit allows. */
export class PayloadTooLargeError extends errorClass("payload-too-large", "split") {}

/** Too many requests; `details.retryAfter` says how many seconds to wait, where it is known. */
export class TooManyRequestsError extends errorClass("too-many-requests", "retry") {}

/** The edge, or the log behind it, can't be reached at the moment. Sending the same again is safe. */
export class UnavailableError extends errorClass("unavailable", "retry") {}

/** No room left: at the edge, or in the browser's quota. */
export class StoreFullError extends errorClass("store-full", "stop") {}

/** The device's own storage refused the write; nothing of it was kept. */
export class StorageFailedError extends errorClass("storage-failed", "retry") {}

/** The store was closed before, or while, it was asked. */
export class StoreClosedError extends errorClass("store-closed", "stop", STORE_CLOSED) {}

const CLASSES: readonly ErrorClass[] = [
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
  StorageFailedError,
  StoreClosedError,
];

export const ERROR_CODES = /* @__PURE__ */ CLASSES.map(({ code }) => code);

export function isErrorCode(value: unknown): value is ErrorCode {
  return CLASSES.some(({ code }) => code === value);
}

export function remedyOf(code: ErrorCode): Remedy {
  return classOf(code).remedy;
}

function classOf(code: ErrorCode): ErrorClass {
  const known = CLASSES.find((candidate) => candidate.code === code);
  assert(known !== undefined, "each code has its class");
  return known;
}

/** The typed error for a code and its details, as they came over the wire or out of a decision. */
export function errorOf(code: ErrorCode, message: string | undefined, given: ErrorDetails = {}): HeadwaterError {
  // What `given` has beside its details (a decision, a message of the wire) does not belong into an error.
  const { field, expectedVersion, actualVersion, eventId, log, head, retryAfter } = given;
  const details = { field, expectedVersion, actualVersion, eventId, log, head, retryAfter };
  // Without those that are not there.
  return new (classOf(code))(message, JSON.parse(JSON.stringify(details)));
}
