/** From an append on one device to another one, beside a bare WebSocket's echo, in one browser engine. */
import type { BrowserSession } from "./browser/engines.ts";
import { BARE } from "./edge.ts";
import { quantile } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { Latencies } from "./results.ts";
import { startEdge } from "./running.ts";

export async function measureLive({ origin }: BrowserSession, { isQuick }: Scale): Promise<Latencies[]> {
  const [edge, bare] = await Promise.all([startEdge(), startEdge({}, BARE)]);
  try {
    const legs = await origin.call("live", `${edge.url}/v1/live`, `${bare.url.replace("http", "ws")}/echo`, isQuick ? 20 : 500);
    return [{ kind: "latencies", title: "one event at a time, from one device to another", rows: legs.map(latencyOf) }];
  } finally {
    await Promise.all([edge.stop(), bare.stop()]);
  }
}

export function latencyOf({ what, times }: { readonly what: string; readonly times: readonly number[] }): Latencies["rows"][number] {
  const rounded = (part: number) => Math.round(quantile(times, part) * 100) / 100;
  return { what, count: times.length, p50: rounded(0.5), p99: rounded(0.99) };
}
