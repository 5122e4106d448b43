/** How a command was refused, and how it was expected to be. */
import { messageOf } from "../../shared/thrown.ts";

/** Of what is thrown: what its message matches, its class, or what holds of it. */
export type Refusal = RegExp | (abstract new (...given: never[]) => Error) | ((error: unknown) => boolean);

export function isRefusedAs(thrown: unknown, how: Refusal): boolean {
  if (how instanceof RegExp) return messageOf(thrown).search(how) >= 0;
  return isErrorClass(how) ? thrown instanceof how : how(thrown);
}

/** For people. */
export function expectationOf(how: Refusal): string {
  if (how instanceof RegExp) return `one that matches ${how}`;
  return isErrorClass(how) ? `a ${how.name}` : `one of which ${how} holds`;
}

/** For people: what was thrown. */
export function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : messageOf(thrown);
}

function isErrorClass(how: Refusal): how is abstract new (...given: never[]) => Error {
  return typeof how === "function" && (how === Error || how.prototype instanceof Error);
}
