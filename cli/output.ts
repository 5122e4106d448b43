/** All that the command line prints. Events, files and answers of an edge are of others: what a terminal would obey is made visible. */
import { HeadwaterError } from "../shared/errors.ts";
import { messageOf } from "../shared/thrown.ts";
import { toVisible } from "../shared/visible.ts";
import { CommandError } from "./command-error.ts";

/** An event or another value as a line of JSON, with its line break. */
export function jsonLine(value: object): string {
  return `${toVisible(JSON.stringify(value))}\n`;
}

/** Prints what a command was asked for. @param text may have line breaks of the command's own */
export function print(text: string): void {
  process.stdout.write(`${visibleLines(text)}\n`);
}

/** Prints what is no result: to standard error. */
export function note(text: string): void {
  process.stderr.write(`${visibleLines(text)}\n`);
}

export function visibleLines(text: string): string {
  return text.split("\n").map(toVisible).join("\n");
}

/** Prints why a command failed. An error that nobody foresaw is printed with its stack. */
export function printFailure(error: unknown): void {
  const lines = linesOf(error).map(toVisible);
  process.stderr.write(`headwater: ${lines.join("\n  ")}\n`);
}

function linesOf(error: unknown): readonly string[] {
  if (error instanceof HeadwaterError) return [`${error.message} (${error.code})`];
  if (error instanceof CommandError) return [error.message, ...error.list];
  const { stack = "" } = error instanceof Error ? error : {};
  return [messageOf(error), ...stack.split("\n").filter((line) => /^\s+at /.test(line))];
}
