/** Formats the story of a failed expectation: the given values, the result, and the difference. */
import type { Json } from "../../shared/json.ts";
import { diffOf } from "./line-diff.ts";

/** The values as JSON, one on each line. */
export function listed(values: readonly unknown[]): string {
  return values.length === 0 ? " nothing" : values.map((value) => `\n  ${JSON.stringify(value)}`).join("");
}

/** @param how what was done to get the actual value, e.g. `decided` */
export function difference(expected: Json, actual: Json, how: string): string {
  return `, expected (-) and ${how} (+)\n${diffOf(expected, actual)}`;
}
