/**
 * Freezes states and rows, so that an app's function can't change them in place. One state is the base of many folds: a change in place
 * would show in another stream, or would count an event twice.
 *
 *     state ──► frozen ──► evolve ──► the next state
 *                            └── TypeError ──► again on a copy that is not frozen ──► succeeds: it was a change in place
 *
 * A Date and a typed array are not frozen: no engine can do it.
 */
import { isObject } from "../json.ts";

/** Every runtime has it. A copy is not frozen. */
declare function structuredClone<T>(value: T): T;

/** Freezes a value with all its parts, and returns it. An object that is frozen already is taken as frozen with all its parts. */
export function frozen<T>(value: T): T {
  if (!isObject(value) || Object.isFrozen(value)) return value;
  const isCollection = value instanceof Map || value instanceof Set;
  if (isCollection) for (const name of ["set", "add", "delete", "clear"]) Object.defineProperty(value, name, { value: refuse });
  try {
    // Before its parts, because it may contain itself.
    Object.freeze(value);
  } catch {
    return value; // a typed array, or a proxy of a library that refuses it
  }
  for (const part of isCollection ? [...value].flat() : Object.values(value)) frozen(part);
  return value;
}

function refuse(): never {
  throw new TypeError("A Map or a Set of a state is read-only.");
}

/** An app's function changed a frozen state in place. */
export class ChangedInPlaceError extends TypeError {}

/**
 * The error to throw if a function of an app has thrown `error`: a ChangedInPlaceError if the function succeeds on a copy that is not
 * frozen, else `error`.
 *
 * @param what the function, e.g. `evolve of the decider stock`
 * @param given what the function got
 * @param again calls the function again
 */
export function inPlaceErrorOf<T extends readonly [unknown, unknown]>(
  error: unknown,
  what: string,
  given: T,
  again: (given: T) => unknown,
): unknown {
  if (!(error instanceof TypeError)) return error;
  try {
    again(structuredClone(given));
  } catch (other) {
    // A refusal is an Error of the app: `decide` came further than with what is frozen. A state that can't be cloned proves nothing.
    if (other instanceof TypeError || (other instanceof Error && other.name === "DataCloneError")) return error;
  }
  const message = `${what} changed what it got in place (${error.message}). Return a new value instead, e.g. \`{ ...state, count: 1 }\`.`;
  return new ChangedInPlaceError(message, { cause: error });
}
