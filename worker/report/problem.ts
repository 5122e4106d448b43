/** Errors as HTTP responses: RFC 9457 documents. The only file that knows statuses. */
import {
  aboutStream,
  type ErrorCode,
  HeadwaterError,
  problemOf,
  StorageDamagedError,
  titleOf,
  UnavailableError,
} from "../../shared/errors.ts";
import { type LogFields, logFault } from "./journal.ts";
import { isCorrupt, isOverloaded } from "./platform-error.ts";

export const STATUS: Readonly<Record<ErrorCode, number>> = {
  "invalid-request": 400,
  unauthenticated: 401,
  forbidden: 403,
  "stream-not-found": 404,
  "version-conflict": 409,
  "event-id-reused": 409,
  "command-refused": 409,
  "command-required": 403,
  "decider-version": 409,
  "log-mismatch": 409,
  "position-ahead": 409,
  "store-deleted": 410,
  "payload-too-large": 413,
  "too-many-requests": 429,
  unavailable: 503,
  "store-full": 507,
  "storage-damaged": 500,
  "stream-diverged": 500,
  // These happen on devices only.
  "storage-failed": 500,
  "store-closed": 500,
  "owner-mismatch": 500,
  "commits-lost": 500,
};

/** Seconds. An overloaded object gets time to recover; an object that went away is back at once. */
const OVERLOADED_RETRY_AFTER = 5;

export interface ProblemFacts {
  /** If the status of the code is not precise enough. */
  readonly status?: number;
  /** The stream that the request names, if it names one. */
  readonly streamId?: string | undefined;
}

/** @param fields for the log, if the error is unexpected */
export function problemResponse(error: unknown, fields: LogFields = {}, { status: given, streamId }: ProblemFacts = {}): Response {
  const named = streamId === undefined ? error : aboutStream(error, streamId);
  const known = named instanceof HeadwaterError ? named : unexpected("request", error, fields);
  const status = given ?? STATUS[known.code];
  const headers = new Headers({ "content-type": "application/problem+json; charset=utf-8", "cache-control": "no-store" });
  if (known.code === "unauthenticated") headers.set("www-authenticate", "Bearer");
  if (status === 503 || status === 429) headers.set("retry-after", String(known.details.retryAfter ?? 1));
  return new Response(JSON.stringify(documentOf(known, status)), { status, headers });
}

/** The same document, for a place without a response. @param where that place, to log it if the error is unexpected */
export function problemOfError(where: string, error: unknown): object {
  const known = error instanceof HeadwaterError ? error : unexpected(where, error, {});
  return documentOf(known, STATUS[known.code]);
}

function documentOf(error: HeadwaterError, status: number) {
  return { type: "about:blank", title: titleOf(error.code), status, ...problemOf(error) };
}

/** An unexpected error is logged with its message. The caller does not see the message. */
function unexpected(where: string, error: unknown, fields: LogFields): HeadwaterError {
  logFault(where, error, fields);
  if (isCorrupt(error)) return new StorageDamagedError();
  return new UnavailableError(undefined, isOverloaded(error) ? { retryAfter: OVERLOADED_RETRY_AFTER } : {});
}
