/** Errors that an object returns to the Worker: a thrown error would lose its class and fields on the way. */
import { errorFrom, HeadwaterError, type ProblemFields, problemOf } from "../../shared/errors.ts";

export interface Refused {
  readonly refused: ProblemFields;
}

export function toRefused(error: HeadwaterError): Refused {
  return { refused: problemOf(error) };
}

/** Returns what `work` returns, or the error of ours that it throws. @throws any other error */
export function refusable<T>(work: () => T): T | Refused {
  try {
    return work();
  } catch (error) {
    return refusedBy(error);
  }
}

/** The same for work that takes its time. */
export async function refusableLater<T>(work: () => Promise<T>): Promise<T | Refused> {
  try {
    return await work();
  } catch (error) {
    return refusedBy(error);
  }
}

function refusedBy(error: unknown): Refused {
  if (error instanceof HeadwaterError) return toRefused(error);
  throw error;
}

/** @throws the typed error, if the object returned one */
export function unwrap<T extends object>(answer: T): Exclude<T, { readonly refused: unknown }> {
  if (isRefused(answer)) throw errorFrom(answer.refused);
  return answer as Exclude<T, { readonly refused: unknown }>; // the check above excludes it
}

function isRefused(answer: object): answer is Refused {
  return "refused" in answer;
}
