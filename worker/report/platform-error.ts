/** What the platform says of its own errors: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
import { HeadwaterError } from "../../shared/errors.ts";

/** Whether the call may succeed on a new stub. */
export function isRetryable(error: unknown): boolean {
  return isFlagged(error, "retryable");
}

/** Whether the object has more calls than it can handle. Then a retry would only add to them. */
export function isOverloaded(error: unknown): boolean {
  return isFlagged(error, "overloaded");
}

/** Whether a write found no room. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && !(error instanceof HeadwaterError) && error.message.includes("SQLITE_FULL");
}

/** Whether the database itself can't be read any more. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof Error && !(error instanceof HeadwaterError) && /SQLITE_(CORRUPT|NOTADB)/.test(error.message);
}

function isFlagged(error: unknown, flag: string): boolean {
  return error instanceof Error && Reflect.get(error, flag) === true;
}
