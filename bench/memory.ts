/** Measures the peak memory of the command line with files of different sizes. */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Scale } from "./options.ts";
import type { Figures } from "./results.ts";
import { keepFiles, runNode, startEdge } from "./running.ts";

/** Files of very different sizes, on which the memory should not depend. And one with many streams, because import keeps their versions. */
const SIZES = [
  { events: 10_000, streams: 20 },
  { events: 100_000, streams: 200 },
  { events: 400_000, streams: 800 },
  { events: 100_000, streams: 2_000 },
];
/** A small heap, so that the peak is the memory that is needed, without garbage that was not collected yet. */
const HEAP = ["--max-old-space-size=48", "--max-semi-space-size=4"];
const PRINT_PEAK = "data:text/javascript,process.on('exit',()=>console.error('peak '+process.resourceUsage().maxRSS))";

export async function measureMemory({ isQuick }: Scale): Promise<Figures[]> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const remove = keepFiles(() => rm(folder, { recursive: true, force: true }));
  const edge = await startEdge();
  const rows: (string | number)[][] = [];
  try {
    for (const { events, streams } of isQuick ? SIZES.slice(0, 1) : SIZES) {
      const file = join(folder, `${events}-${streams}.ndjson`);
      await pipeline(Readable.from(lines(events, events / streams)), createWriteStream(file));
      const url = `${edge.url}/v1/memory-${events}-${streams}`;
      const imported = await peakOf(["import", file, "--url", url]);
      const exported = await peakOf(["export", "--url", url, "--out", `${file}.out`]);
      rows.push([events.toLocaleString("en"), streams.toLocaleString("en"), Math.round(imported), Math.round(exported)]);
    }
  } finally {
    await edge.stop();
    await remove();
  }
  return [{ kind: "figures", title: "peak memory of the command line, MiB", columns: ["events", "streams", "import", "export"], rows }];
}

/** Lines of a file to import, each stream's together. */
export function* lines(count: number, perStream: number): Generator<string> {
  for (let i = 0; i < count; i++) {
    const data = { number: i, channel: "Internet", department: "General", responsible: "Resource26", text: "x".repeat(100) };
    yield `${JSON.stringify({ stream: `Generated-${Math.floor(i / perStream)}`, type: "Generated", time: "2026-01-01T00:00:00Z", actor: "bench", data })}\n`;
  }
}

/** MiB, the peak of what the process had in memory. */
async function peakOf(args: readonly string[]): Promise<number> {
  const { stderr } = await runNode([...HEAP, "--import", PRINT_PEAK, "cli/main.ts", ...args]);
  const peak = /peak (\d+)/.exec(stderr)?.[1];
  if (peak === undefined) throw new Error(`headwater ${args.join(" ")} did not print its peak:\n${stderr}`);
  return Number(peak) / 1024;
}
