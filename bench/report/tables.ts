/** Results as tables, for the terminal and for the page. */
import { median, quantile } from "../measure.ts";
import type { Comparison, Growth, GrowthPoint, Result } from "../results.ts";

export function printResults(results: readonly Result[]): void {
  for (const result of results) {
    console.log(`\n${result.title}`);
    switch (result.kind) {
      case "comparison":
        console.table(
          result.sides.map((side) => ({
            side: side.name,
            [unitOf(result)]: spreadOf(result, side.times),
            rate: rateOf(result, side.times),
          })),
        );
        for (const { name, why } of result.failures) console.log(`${name}: not measured. ${why}`);
        break;
      case "latencies":
        console.table(result.rows);
        break;
      case "growth":
        console.table(
          result.lines.map(({ what, points }) => ({
            [result.along]: what,
            ...Object.fromEntries(points.map(({ at, times }) => [count(at), milliseconds(median(times))])),
          })),
        );
        break;
      case "figures":
        console.table(result.rows.map((row) => Object.fromEntries(row.map((cell, i) => [result.columns[i] || " ", cell]))));
        break;
      case "not-measured":
        console.log(`Not measured. ${result.why}`);
        break;
      default:
        result satisfies never;
    }
  }
}

/** What a cell of a comparison is. */
export function unitOf({ bytes, count: units, unit }: Comparison): string {
  if (bytes !== undefined) return "MB a second";
  return units === 1 ? "ms" : `ms ${/^[aeiou]/.test(unit) ? "an" : "a"} ${unit}`;
}

/** The median, and from the least to the most: of a unit of work, or in bytes a second. */
export function spreadOf(comparison: Comparison, times: readonly number[]): string {
  const [middle, least, most] = valuesOf(comparison, times);
  return `${number(middle)} (${number(least)}–${number(most)})`;
}

/** The median, the least and the most. */
export function valuesOf({ bytes, count: units }: Comparison, times: readonly number[]): [middle: number, least: number, most: number] {
  const value = (time: number) => (bytes === undefined ? time / units : bytes / 1000 / time);
  const values = times.map(value);
  return [value(median(times)), Math.min(...values), Math.max(...values)];
}

export function rateOf({ count: units, unit }: Comparison, times: readonly number[]): string {
  return `${count(Math.round((units / median(times)) * 1000))} ${unit}s/s`;
}

export function pointOf({ times }: GrowthPoint): [middle: number, low: number, high: number] {
  return [median(times), quantile(times, 0.25), quantile(times, 0.75)];
}

export function sizesOf({ lines }: Growth): number[] {
  return [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => at)))].sort((a, b) => a - b);
}

export function milliseconds(value: number): string {
  return number(value);
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** Three digits that count. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return count(Math.round(value));
  return Number(value.toPrecision(value < 0.1 ? 2 : 3)).toString();
}
