/** How operations on a device grow, in one browser engine. The events come from a feed in the page: no edge and no network take part. */
import type { BrowserSession } from "./browser/engines.ts";
import { said } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { GrowthLine } from "./page/growth-store.ts";
import type { Growth } from "./results.ts";

/** Events of a stream, where the store grows. */
const OF_A_STREAM = 20;
const REPETITIONS = 20;

export async function measureGrowthOnDevice(
  { origin }: BrowserSession,
  { isQuick, hasMillion }: Scale,
  say: (line: string) => void,
): Promise<Growth[]> {
  const repetitions = isQuick ? 2 : REPETITIONS;
  const results: Growth[] = [];
  const add = async (title: string, along: string, measuring: Promise<GrowthLine[]>) => {
    results.push({ kind: "growth", title, along, lines: await said(say, along, measuring) });
  };
  const sizes = isQuick ? [1_000, 3_000] : [1_000, 10_000, 100_000, ...(hasMillion ? [1_000_000] : [])];
  await add(
    `a synced store that grows, ${OF_A_STREAM} events a stream`,
    "events in the store",
    origin.call(
      "growthOfSizes",
      sizes.map((at) => ({ at, events: at, streams: at / OF_A_STREAM })),
      repetitions,
    ),
  );
  const events = isQuick ? 1_000 : 100_000;
  const streams = isQuick ? [10, 100] : [10, 100, 1_000, 10_000, 100_000];
  await add(
    `a synced store of ${events.toLocaleString("en")} events over more and more streams`,
    "streams in the store",
    origin.call(
      "growthOfSizes",
      streams.map((at) => ({ at, events, streams: at })),
      repetitions,
    ),
  );
  const pending = isQuick ? [0, 100] : [0, 100, 3_000, 10_000];
  await add("a synced store of 10,000 events that is offline", "pending commits", origin.call("growthOfPending", pending, repetitions));
  const lengths = isQuick ? [10, 100] : [10, 100, 1_000, 10_000, 100_000];
  await add("a stream that grows", "events in the stream", origin.call("growthOfLengths", lengths, repetitions));
  return results;
}
