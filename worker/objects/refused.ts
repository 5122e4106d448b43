/** Errors that an object returns to the Worker: a thrown error would lose its class and fields on the way. */
import { errorFrom, type HeadwaterError, type ProblemFields, problemOf } from "../../shared/errors.ts";

export interface Refused {
  readonly refused: ProblemFields;
}

export function toRefused(error: HeadwaterError): Refused {
  return { refused: problemOf(error) };
}

/** @throws the typed error, if the object returned one */
export function unwrap<T extends object>(answer: T): Exclude<T, { readonly refused: unknown }> {
  if (isRefused(answer)) throw errorFrom(answer.refused);
  return answer as Exclude<T, { readonly refused: unknown }>; // the check above excludes it
}

function isRefused(answer: object): answer is Refused {
  return "refused" in answer;
}
