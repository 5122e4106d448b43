/** How what does not hold is told: what was given, what came of it, and where that differs. */
import type { Json } from "../../shared/json.ts";
import { diffOf } from "./line-diff.ts";

/** A line for each. */
export function listed(values: readonly unknown[]): string {
  return values.length === 0 ? " nothing" : values.map((value) => `\n  ${JSON.stringify(value)}`).join("");
}

export function difference(expected: Json, came: Json, how: string): string {
  return `, expected (-) and ${how} (+)\n${diffOf(expected, came)}`;
}
