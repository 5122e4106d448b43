/** Errors as HTTP tells them: RFC 9457 documents. The only place that knows statuses. */
import { type ErrorCode, HeadwaterError, titleOf, UnavailableError } from "../../shared/errors.ts";
import { problemOf } from "../../shared/wire/wire.ts";
import { type LogFields, logFault } from "./journal.ts";
import { isOverloaded } from "./platform-error.ts";

export const STATUS: Readonly<Record<ErrorCode, number>> = {
  "invalid-request": 400,
  unauthenticated: 401,
  forbidden: 403,
  "stream-not-found": 404,
  "version-conflict": 409,
  "event-id-reused": 409,
  "log-mismatch": 409,
  "position-ahead": 409,
  "payload-too-large": 413,
  "too-many-requests": 429,
  unavailable: 503,
  "store-full": 507,
  // These two happen on devices only.
  "storage-failed": 500,
  "store-closed": 500,
};

/** Seconds. What is overloaded gets room to recover; what went away is back at once. */
const OVERLOADED_RETRY_AFTER = 5;

/** @param otherStatus where the code's own does not say enough */
export function problemResponse(error: unknown, fields: LogFields = {}, otherStatus?: number): Response {
  const known = error instanceof HeadwaterError ? error : unexpected("request", error, fields);
  const status = otherStatus ?? STATUS[known.code];
  const body = documentOf(known, status);
  const headers = new Headers({ "content-type": "application/problem+json; charset=utf-8", "cache-control": "no-store" });
  if (known.code === "unauthenticated") headers.set("www-authenticate", "Bearer");
  if (status === 503 || status === 429) headers.set("retry-after", String(known.details.retryAfter ?? 1));
  return new Response(JSON.stringify(body), { status, headers });
}

/** The same document, where there is no response that it could be the body of. @param where for the log, should nobody have foreseen it */
export function problemOfError(where: string, error: unknown): object {
  const known = error instanceof HeadwaterError ? error : unexpected(where, error, {});
  return documentOf(known, STATUS[known.code]);
}

function documentOf(error: HeadwaterError, status: number): object {
  return { type: "about:blank", title: titleOf(error.code), status, ...problemOf(error) };
}

/** What nobody foresaw goes to the log with its message, and to the caller without. */
function unexpected(where: string, error: unknown, fields: LogFields): HeadwaterError {
  logFault(where, error, fields);
  return new UnavailableError(undefined, isOverloaded(error) ? { retryAfter: OVERLOADED_RETRY_AFTER } : {});
}
