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
  unauthenticated: { remedy: "authenticate", title: "The store does not know who is asking: send a valid token." },
  forbidden: { remedy: "stop", title: "These credentials do not allow it." },
  "stream-not-found": { remedy: "stop", title: "No event was ever appended to this stream." },
  "version-conflict": { remedy: "rebase", title: "The stream is not at the version that the commit builds on." },
  "event-id-reused": { remedy: "stop", title: "An event id stands for one event for ever; this one is taken by another." },
  "log-mismatch": { remedy: "ask", title: "The store at the edge has another history than the one this device has followed." },
  "position-ahead": { remedy: "ask", title: "The store at the edge has less history than this device has already seen." },
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

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = details;
  }
}

/** The request is not one that the store understands; `field` says which part. */
export class InvalidRequestError extends HeadwaterError {
  constructor(message: string, details: { field: string }, options?: ErrorOptions) {
    super("invalid-request", message, details, options);
  }
  get field(): string {
    return this.details.field ?? "";
  }
}

/** The edge does not know who is asking. */
export class UnauthenticatedError extends HeadwaterError {
  constructor(message: string = ERROR_CODES.unauthenticated.title) {
    super("unauthenticated", message);
  }
}

/** The credentials do not allow what was asked. */
export class ForbiddenError extends HeadwaterError {
  constructor(message: string = ERROR_CODES.forbidden.title) {
    super("forbidden", message);
  }
}

/** The stream has no event. */
export class StreamNotFoundError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["stream-not-found"].title) {
    super("stream-not-found", message);
  }
}

/** The stream was at `actualVersion` where the writer expected `expectedVersion`; nothing was appended. */
export class VersionConflictError extends HeadwaterError {
  constructor(details: { expectedVersion: ExpectedVersion; actualVersion: number }, message?: string) {
    super(
      "version-conflict",
      message ?? `Expected version ${details.expectedVersion}, but the stream is at version ${details.actualVersion}.`,
      details,
    );
  }
  get expectedVersion(): ExpectedVersion {
    return this.details.expectedVersion ?? "any";
  }
  get actualVersion(): number {
    return this.details.actualVersion ?? 0;
  }
}

/** An event id of the commit stands in the stream already, for something else. */
export class EventIdReusedError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["event-id-reused"].title, details: ErrorDetails = {}) {
    super("event-id-reused", message, details);
  }
}

/** The log that was followed so far is not the log at the edge. */
export class LogMismatchError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["log-mismatch"].title, details: ErrorDetails = {}) {
    super("log-mismatch", message, details);
  }
}

/** The position asked for lies beyond the end of the log. */
export class PositionAheadError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["position-ahead"].title, details: ErrorDetails = {}) {
    super("position-ahead", message, details);
  }
}

/** More than a limit allows. */
export class PayloadTooLargeError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["payload-too-large"].title, details: ErrorDetails = {}) {
    super("payload-too-large", message, details);
  }
}

/** Too many requests; `retryAfter` says how many seconds to wait, where it is known. */
export class TooManyRequestsError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["too-many-requests"].title, details: ErrorDetails = {}) {
    super("too-many-requests", message, details);
  }
}

/** The edge, or the log behind it, can't be reached at the moment. Sending the same again is safe. */
export class UnavailableError extends HeadwaterError {
  constructor(message: string = ERROR_CODES.unavailable.title, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("unavailable", message, details, options);
  }
}

/** No room left: at the edge, or in the browser's quota. */
export class StoreFullError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["store-full"].title, options?: ErrorOptions) {
    super("store-full", message, {}, options);
  }
}

/** The device's own storage refused the write; nothing of it was kept. */
export class StorageFailedError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["storage-failed"].title, options?: ErrorOptions) {
    super("storage-failed", message, {}, options);
  }
}

/** The store was closed before, or while, it was asked. */
export class StoreClosedError extends HeadwaterError {
  constructor(message: string = ERROR_CODES["store-closed"].title) {
    super("store-closed", message);
  }
}

/** The typed error for a code and its details, as they came over the wire or out of a decision. */
export function errorOf(code: ErrorCode, message: string | undefined, given: ErrorDetails = {}): HeadwaterError {
  const details = detailsOf(given);
  switch (code) {
    case "invalid-request":
      return new InvalidRequestError(message ?? ERROR_CODES[code].title, { field: details.field ?? "" });
    case "unauthenticated":
      return new UnauthenticatedError(message);
    case "forbidden":
      return new ForbiddenError(message);
    case "stream-not-found":
      return new StreamNotFoundError(message);
    case "version-conflict":
      return new VersionConflictError(
        { expectedVersion: details.expectedVersion ?? "any", actualVersion: details.actualVersion ?? 0 },
        message,
      );
    case "event-id-reused":
      return new EventIdReusedError(message, details);
    case "log-mismatch":
      return new LogMismatchError(message, details);
    case "position-ahead":
      return new PositionAheadError(message, details);
    case "payload-too-large":
      return new PayloadTooLargeError(message, details);
    case "too-many-requests":
      return new TooManyRequestsError(message, details);
    case "unavailable":
      return new UnavailableError(message, details);
    case "store-full":
      return new StoreFullError(message);
    case "storage-failed":
      return new StorageFailedError(message);
    case "store-closed":
      return new StoreClosedError(message);
  }
}

/** What `given` has beside its details (a decision, a message of the wire) does not belong into an error. */
function detailsOf({ field, expectedVersion, actualVersion, eventId, log, head, retryAfter }: ErrorDetails): ErrorDetails {
  const details = { field, expectedVersion, actualVersion, eventId, log, head, retryAfter };
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
}
