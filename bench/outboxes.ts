/** Measures how long a device takes to sync a long outbox. The baseline is the command line, which imports events to the same edge. */
import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { measureOutboxInBrowser } from "./browser.ts";
import { timed } from "./measure.ts";
import { lines } from "./memory.ts";

export interface OutboxSync {
  readonly what: string;
  readonly seconds: number;
  /** The time, divided by that of the import. */
  readonly ratio: number;
  readonly requests?: number;
  /** Tasks of more than 50 ms in the page, while it synced. */
  readonly "long tasks"?: number;
  /** Milliseconds. */
  readonly "longest task"?: number;
  /** Milliseconds of the processor that a task took at most. It is less than the task's time if the machine had other work. */
  readonly "busiest task"?: number;
}

export const STREAMS = 100;
const IMPORTED = 100_000;
export const BASELINE = `An import of ${IMPORTED.toLocaleString("en")} events`;
const PENDING = [5_000, 50_000];

const run = promisify(execFile);

export async function measureOutboxes(edgeUrl: string): Promise<OutboxSync[]> {
  const imported = await importTime(`${edgeUrl}/v1/imported`);
  const results: OutboxSync[] = [{ what: BASELINE, seconds: round(imported / 1000), ratio: 1 }];
  for (const commits of PENDING) {
    const { sync, requests, longTasks, busiest } = await measureOutboxInBrowser(`${edgeUrl}/v1/outbox-${commits}`, commits, STREAMS);
    results.push({
      what: `${commits.toLocaleString("en")} pending`,
      seconds: round(sync / 1000),
      ratio: round(sync / imported),
      requests,
      "long tasks": longTasks.length,
      "longest task": Math.max(0, ...longTasks),
      "busiest task": round(busiest),
    });
  }
  return results;
}

/** Milliseconds of an import of a file in which each stream's events are together, as an import is fastest. */
async function importTime(url: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  try {
    const file = join(folder, "events.ndjson");
    await pipeline(Readable.from(lines(IMPORTED, IMPORTED / STREAMS)), createWriteStream(file));
    return await timed(() => run(process.execPath, ["cli/main.ts", "import", file, "--url", url]));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
