/** Answers by callback, because the world has no promises. An error is an answer too. */
import { type ErrorCode, errorOf, type HeadwaterError } from "../../shared/errors.ts";

export type Answer<T> = { readonly value: T } | { readonly error: HeadwaterError };

export type Reply<T> = (answer: Answer<T>) => void;

export function failure(code: ErrorCode, details?: HeadwaterError["details"]): { readonly error: HeadwaterError } {
  return { error: errorOf(code, undefined, details) };
}
