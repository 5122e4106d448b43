/**
 * The two orders of an event store, kept apart by their types: both are whole numbers from 1, and mixing them up is the
 * mistake that no test of small stores notices.
 */
import { assert } from "./assert.ts";

/** An event's place in its stream: 1, 2, 3 … without gaps. 0 is the version of a stream that does not exist. */
export type Version = number & { readonly __brand: "Version" };

/** An event's place in its store, given by the edge: 1, 2, 3 … without gaps. 0 stands before the first event. */
export type Position = number & { readonly __brand: "Position" };

/** @throws when `value` is no whole number from 0 to 2^53 − 1: callers check what comes from outside beforehand. */
export function toVersion(value: number): Version {
  assert(isOrdinal(value), `${value} is no version`);
  return value as Version;
}

/** @throws when `value` is no whole number from 0 to 2^53 − 1: callers check what comes from outside beforehand. */
export function toPosition(value: number): Position {
  assert(isOrdinal(value), `${value} is no position`);
  return value as Position;
}

export function isOrdinal(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export const NO_STREAM = /* @__PURE__ */ toVersion(0);
export const LOG_START = /* @__PURE__ */ toPosition(0);
