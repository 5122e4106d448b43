/** Errors that an object returns to the Worker: a thrown error would lose its class and fields on the way. */
import { errorOf, type HeadwaterError } from "../../shared/errors.ts";
import { problemOf } from "../../shared/wire/wire.ts";

export interface Refused {
  readonly refused: ReturnType<typeof problemOf>;
}

export function toRefused(error: HeadwaterError): Refused {
  return { refused: problemOf(error) };
}

/** @throws the typed error, if the object returned one */
export function unwrap<T extends object>(answer: T): Exclude<T, { readonly refused: unknown }> {
  if (isRefused(answer)) {
    const { code, detail, ...details } = answer.refused;
    throw errorOf(code, detail, details);
  }
  return answer as Exclude<T, { readonly refused: unknown }>; // the check above excludes it
}

function isRefused(answer: object): answer is Refused {
  return "refused" in answer;
}
