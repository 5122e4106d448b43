/**
 * The two orders of an event store, with types that keep them apart. Both are whole numbers from 1, and no test of a small store
 * notices if they are mixed up.
 */
import { assert } from "./assert.ts";

/** An event's place in its stream: 1, 2, 3 … without gaps. A stream that does not exist is at version 0. */
export type Version = number & { readonly __brand: "Version" };

/** An event's place in its store, given by the edge: 1, 2, 3 … without gaps. 0 is the position before the first event. */
export type Position = number & { readonly __brand: "Position" };

/** @throws Error if `value` is not a whole number from 0 to 2^53 − 1. Callers check values from outside first. */
export function toVersion(value: number): Version {
  assert(isOrdinal(value), `${value} is not a version`);
  return value as Version;
}

/** @throws Error if `value` is not a whole number from 0 to 2^53 − 1. Callers check values from outside first. */
export function toPosition(value: number): Position {
  assert(isOrdinal(value), `${value} is not a position`);
  return value as Position;
}

/** Whether `value` is a whole number from 0 to 2^53 − 1. */
export function isOrdinal(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export const NO_STREAM = /* @__PURE__ */ toVersion(0);
export const LOG_START = /* @__PURE__ */ toPosition(0);
