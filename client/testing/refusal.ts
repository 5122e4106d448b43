/** How a command is expected to be refused, and whether it was refused so. */
import { messageOf } from "../../shared/thrown.ts";

/** What is expected of the error: a pattern that its message matches, its class, or a function that returns true for it. */
export type Refusal = RegExp | (abstract new (...given: never[]) => Error) | ((error: unknown) => boolean);

export function isRefusedAs(thrown: unknown, how: Refusal): boolean {
  if (how instanceof RegExp) return messageOf(thrown).search(how) >= 0;
  return isErrorClass(how) ? thrown instanceof how : how(thrown);
}

/** The expectation as text for people. */
export function expectationOf(how: Refusal): string {
  if (how instanceof RegExp) return `a refusal that matches ${how}`;
  return isErrorClass(how) ? `a refusal of class ${how.name}` : `a refusal for which ${how} is true`;
}

/** The thrown error as text for people. */
export function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : messageOf(thrown);
}

function isErrorClass(how: Refusal): how is abstract new (...given: never[]) => Error {
  return typeof how === "function" && (how === Error || how.prototype instanceof Error);
}
