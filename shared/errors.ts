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

interface CodeFacts {
  readonly remedy: Remedy;
  readonly title: string;
}

export const ERROR_CODES = {
  "invalid-request": { remedy: "mend", title: "The request is not one that the store understands; `field` names what to mend." },
  unauthenticated: { remedy: "authenticate", title: "The edge does not know who is asking: send a valid token." },
  forbidden: { remedy: "stop", title: "These credentials do not allow it." },
  "stream-not-found": { remedy: "stop", title: "No event was ever appended to this stream." },
  "version-conflict": { remedy: "rebase", title: "The stream is not at the version that the commit builds on." },
  "event-id-reused": { remedy: "stop", title: "An event id stands for one event for ever; this one is taken by another." },
  "log-mismatch": { remedy: "ask", title: "The edge has another history than the one that is followed." },
  "position-ahead": { remedy: "ask", title: "The edge has less history than was seen of it." },
  "payload-too-large": { remedy: "split", title: "The request exceeds a limit: send less at once." },
  "too-many-requests": { remedy: "retry", title: "Too many requests: wait before the next one." },
  unavailable: { remedy: "retry", title: "The store can't be reached at the moment; sending the same again is safe." },
  "store-full": { remedy: "stop", title: "The store has no room left; reads go on." },
  "storage-failed": { remedy: "retry", title: "This device could not write to its own storage; nothing of the append was kept." },
  "store-closed": { remedy: "stop", title: "The store was closed; open it again." },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_CODES, value);
}

export function remedyOf(code: ErrorCode): Remedy {
  return ERROR_CODES[code].remedy;
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

  /** @param message default: what is said of the code */
  constructor(code: ErrorCode, message: string = ERROR_CODES[code].title, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    // Made from the code, since a minifier changes the names of classes.
    this.name = `${code.replaceAll(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase())}Error`;
    this.code = code;
    this.details = details;
  }
}

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
  constructor(...parts: Parts) {
    super("log-mismatch", ...parts);
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
  constructor(...parts: Parts) {
    super("store-closed", ...parts);
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
