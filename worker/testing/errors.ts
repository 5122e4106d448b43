/** Errors as they arrive at the caller of an object. */
import { copyOf } from "./copy.ts";

/** An error that the object's own code threw. Of its class nothing survives, of its fields the name and the message. */
export function remoteError(error: unknown): unknown {
  if (!(error instanceof Error)) return copyOf(error, { plainClasses: true });
  const copy = new Error(error.message);
  if (error.name !== copy.name) copy.name = error.name;
  // The platform keeps no stack of another object. In a test it leads to the cause.
  if (error.stack !== undefined) copy.stack = error.stack;
  return Object.assign(copy, { remote: true });
}

/** The object, or the connection to it, went away. The same call may succeed on a new stub. */
export function lostError(message = "Network connection lost."): Error {
  return Object.assign(new Error(message), { retryable: true });
}

/** The object has more calls than it can handle. */
export function overloadedError(): Error {
  return Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true });
}

/** What an instance gets that still runs after its object was reset. */
export function goneError(): Error {
  return new Error("This instance of the object has ended: its storage can't be used any more.");
}

export const FULL = "database or disk is full: SQLITE_FULL";
