/** Measures how long a device takes to sync a long outbox. The baseline is the command line, which imports events to the same edge. */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { measureOutboxInBrowser } from "./browser/traced.ts";
import { timed } from "./measure.ts";
import { lines } from "./memory.ts";
import type { Scale } from "./options.ts";
import type { Figures } from "./results.ts";
import { keepFiles, runNode, startEdge } from "./running.ts";

const STREAMS = 100;

export async function measureOutboxes({ isQuick }: Scale): Promise<Figures[]> {
  const [imported, pending] = isQuick ? [2_000, [500]] : [100_000, [5_000, 50_000]];
  const edge = await startEdge();
  try {
    const baseline = await importTime(`${edge.url}/v1/imported`, imported);
    const rows: (string | number)[][] = [
      [`an import of ${imported.toLocaleString("en")} events by the command line`, round(baseline / 1000), "", "", "", ""],
    ];
    for (const commits of pending) {
      const url = `${edge.url}/v1/outbox-${commits}`;
      const { sync, requests, longTasks, busiest } = await measureOutboxInBrowser(url, commits, STREAMS);
      rows.push([
        `sync of ${commits.toLocaleString("en")} pending commits of one event`,
        round(sync / 1000),
        requests,
        longTasks.length,
        Math.max(0, ...longTasks),
        round(busiest),
      ]);
    }
    const columns = ["", "seconds", "requests", "tasks over 50 ms", "longest task, ms", "most of the processor by a task, ms"];
    return [{ kind: "figures", title: `a long outbox over ${STREAMS} streams, in Chromium`, columns, rows }];
  } finally {
    await edge.stop();
  }
}

/** Milliseconds of an import of a file in which each stream's events are together, as an import is fastest. */
async function importTime(url: string, events: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const remove = keepFiles(() => rm(folder, { recursive: true, force: true }));
  try {
    const file = join(folder, "events.ndjson");
    await pipeline(Readable.from(lines(events, events / STREAMS)), createWriteStream(file));
    return await timed(() => runNode(["cli/main.ts", "import", file, "--url", url]));
  } finally {
    await remove();
  }
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
