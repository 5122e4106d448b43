/** Folds, projections and live values, and the work on a page of the feed, in one browser engine. */
import type { BrowserSession } from "./browser/engines.ts";
import { latencyOf } from "./live.ts";
import type { Scale } from "./options.ts";
import { comparisonWithBaseline, type Result } from "./results.ts";

export async function measureModel({ origin }: BrowserSession, { isQuick }: Scale): Promise<Result[]> {
  // Each with 50 events.
  const { measurements, latencies } = await origin.call("model", isQuick ? 40 : 2_000);
  return [
    ...measurements.map(comparisonWithBaseline),
    { kind: "latencies", title: "reads and live values", rows: latencies.map(latencyOf) },
  ];
}

export async function measurePages({ origin }: BrowserSession): Promise<Result[]> {
  return [comparisonWithBaseline(await origin.call("pages"))];
}
