/** The jobs of a device, by all sides that can do them, in one browser engine. */
import type { BrowserSession } from "./browser/engines.ts";
import { said } from "./measure.ts";
import type { Scale } from "./options.ts";
import { DEVICE_JOBS } from "./page/device-jobs.ts";
import { comparisonOf, type Result } from "./results.ts";

export async function measureDevice(
  { origin }: BrowserSession,
  { rounds, isQuick }: Scale,
  say: (line: string) => void,
): Promise<Result[]> {
  const sizes = isQuick
    ? { rounds, lines: 600, appends: 10, atOnce: 50, commits: 50 }
    : { rounds, lines: 1e9, appends: 100, atOnce: 500, commits: 1_000 };
  const results: Result[] = [];
  for (const job of DEVICE_JOBS) {
    const outcomes = await said(say, job, origin.call("device", job, sizes));
    results.push(...outcomes.map((outcome) => comparisonOf(outcome.title, outcome.count, outcome.unit, outcome)));
  }
  return results;
}
