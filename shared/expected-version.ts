/**
 * Optimistic concurrency: at which version a writer expects a stream when it appends.
 *
 * | expectation       | holds when the stream's version is |
 * |-------------------|------------------------------------|
 * | a number          | that number; 0 = does not exist    |
 * | `"no-stream"`     | 0                                  |
 * | `"stream-exists"` | above 0                            |
 * | `"any"`           | anything                           |
 */
import { InvalidRequestError } from "./errors.ts";
import type { Option } from "./options.ts";
import { isOrdinal, type Version } from "./order.ts";

export type ExpectedVersion = number | "no-stream" | "stream-exists" | "any";

export function expectationHolds(expected: ExpectedVersion, version: Version): boolean {
  const exact = exactVersion(expected);
  return exact === undefined ? expected === "any" || version > 0 : exact === version;
}

/** The version that an exact expectation names, or undefined. A commit with one was decided on exactly the events up to that version. */
export function exactVersion(expected: ExpectedVersion): number | undefined {
  if (typeof expected === "number") return expected;
  return expected === "no-stream" ? 0 : undefined;
}

/** The message for a writer whose expectation does not hold. */
export function conflictMessage(expected: ExpectedVersion, actual: Version): string {
  return `Expected version ${expected}, but the stream is at version ${actual}.`;
}

export function isExpectedVersion(value: unknown): value is ExpectedVersion {
  return value === "no-stream" || value === "stream-exists" || value === "any" || isOrdinal(value);
}

export const expectedVersion: Option = {
  what: 'a whole number from 0, "no-stream", "stream-exists" or "any"',
  accepts: isExpectedVersion,
};

/** @throws InvalidRequestError if it is none of the four */
export function parseExpectedVersion(value: unknown, field = "expectedVersion"): ExpectedVersion {
  if (isExpectedVersion(value)) return value;
  throw new InvalidRequestError(`An expected version must be ${expectedVersion.what}.`, { field });
}
