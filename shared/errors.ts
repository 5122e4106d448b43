/**
 * The closed list of what can go wrong, grouped by what the caller does about it. Codes are stable and travel over the
 * wire; HTTP statuses are the edge's matter and live there.
 */
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

const REMEDIES = {
  "invalid-request": "mend",
  unauthenticated: "authenticate",
  forbidden: "stop",
  "stream-not-found": "stop",
  "version-conflict": "rebase",
  "event-id-reused": "stop",
  "log-mismatch": "ask",
  "position-ahead": "ask",
  "payload-too-large": "split",
  "too-many-requests": "retry",
  unavailable: "retry",
  "store-full": "stop",
  "storage-failed": "retry",
  "store-closed": "stop",
} as const satisfies Record<string, Remedy>;

export type ErrorCode = keyof typeof REMEDIES;

export const ERROR_CODES = Object.keys(REMEDIES) as readonly ErrorCode[];

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(REMEDIES, value);
}

export function remedyOf(code: ErrorCode): Remedy {
  return REMEDIES[code];
}

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
export const OTHER_HISTORY = "The edge has another history than the one that is followed.";
export const STORE_CLOSED = "The store was closed; open it again.";

type Parts = [message?: string | undefined, details?: ErrorDetails | undefined, options?: ErrorOptions];

/** The request is not one that the store understands; `field` says which part. */
export class InvalidRequestError extends HeadwaterError {
  constructor(message?: string, details?: ErrorDetails & { field: string }, options?: ErrorOptions) {
    super("invalid-request", message, details, options);
  }
  get field(): string {
    return this.details.field ?? "";
  }
}

/** The edge does not know who is asking. */
export class UnauthenticatedError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("unauthenticated", ...parts);
  }
}

/** The credentials do not allow what was asked. */
export class ForbiddenError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("forbidden", ...parts);
  }
}

/** The stream has no event. */
export class StreamNotFoundError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("stream-not-found", ...parts);
  }
}

/** The stream was at `actualVersion` where the writer expected `expectedVersion`; nothing was appended. */
export class VersionConflictError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("version-conflict", ...parts);
  }
  get expectedVersion(): ExpectedVersion {
    return this.details.expectedVersion ?? "any";
  }
  get actualVersion(): number {
    return this.details.actualVersion ?? 0;
  }
}

/** An event id of the commit stands in the stream already, for something else; `details.eventId` says which. */
export class EventIdReusedError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("event-id-reused", ...parts);
  }
}

/** The log that was followed so far is not the log at the edge. */
export class LogMismatchError extends HeadwaterError {
  constructor(message: string = OTHER_HISTORY, details?: ErrorDetails, options?: ErrorOptions) {
    super("log-mismatch", message, details, options);
  }
}

/** The position asked for lies beyond the end of the log. */
export class PositionAheadError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("position-ahead", ...parts);
  }
}

/** More than a limit allows. */
export class PayloadTooLargeError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("payload-too-large", ...parts);
  }
}

/** Too many requests; `details.retryAfter` says how many seconds to wait, where it is known. */
export class TooManyRequestsError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("too-many-requests", ...parts);
  }
}

/** The edge, or the log behind it, can't be reached at the moment. Sending the same again is safe. */
export class UnavailableError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("unavailable", ...parts);
  }
}

/** No room left: at the edge, or in the browser's quota. */
export class StoreFullError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("store-full", ...parts);
  }
}

/** The device's own storage refused the write; nothing of it was kept. */
export class StorageFailedError extends HeadwaterError {
  constructor(...parts: Parts) {
    super("storage-failed", ...parts);
  }
}

/** The store was closed before, or while, it was asked. */
export class StoreClosedError extends HeadwaterError {
  constructor(message: string = STORE_CLOSED, details?: ErrorDetails, options?: ErrorOptions) {
    super("store-closed", message, details, options);
  }
}

type Others = Exclude<ErrorCode, "invalid-request">;

const CLASSES: Readonly<Record<Others, new (...parts: Parts) => HeadwaterError>> = {
  unauthenticated: UnauthenticatedError,
  forbidden: ForbiddenError,
  "stream-not-found": StreamNotFoundError,
  "version-conflict": VersionConflictError,
  "event-id-reused": EventIdReusedError,
  "log-mismatch": LogMismatchError,
  "position-ahead": PositionAheadError,
  "payload-too-large": PayloadTooLargeError,
  "too-many-requests": TooManyRequestsError,
  unavailable: UnavailableError,
  "store-full": StoreFullError,
  "storage-failed": StorageFailedError,
  "store-closed": StoreClosedError,
};

/** The typed error for a code and its details, as they came over the wire or out of a decision. */
export function errorOf(code: ErrorCode, message: string | undefined, given: ErrorDetails = {}): HeadwaterError {
  const { field, expectedVersion, actualVersion, eventId, log, head, retryAfter } = given;
  // What `given` has beside its details (a decision, a message of the wire) does not belong into an error.
  const details = { field, expectedVersion, actualVersion, eventId, log, head, retryAfter };
  const known = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
  if (code === "invalid-request") return new InvalidRequestError(message, { ...known, field: field ?? "" });
  return new CLASSES[code](message, known);
}
