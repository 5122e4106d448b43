/** Measures the peak memory of the command line with files of different sizes. */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export interface MemoryUse {
  readonly events: number;
  readonly streams: number;
  readonly command: "import" | "export";
  /** MiB, peak resident set of the process. */
  readonly peak: number;
}

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

export async function measureMemory(edgeUrl: string): Promise<MemoryUse[]> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const uses: MemoryUse[] = [];
  try {
    for (const { events, streams } of SIZES) {
      const file = join(folder, `${events}-${streams}.ndjson`);
      await pipeline(Readable.from(lines(events, events / streams)), createWriteStream(file));
      const url = `${edgeUrl}/v1/memory-${events}-${streams}`;
      uses.push({ events, streams, command: "import", peak: await peakOf(["import", file, "--url", url]) });
      uses.push({ events, streams, command: "export", peak: await peakOf(["export", "--url", url, "--out", `${file}.out`]) });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return uses;
}

/** Lines of a file to import, each stream's together. */
export function* lines(count: number, perStream: number): Generator<string> {
  for (let i = 0; i < count; i++) {
    const data = { number: i, channel: "Internet", department: "General", responsible: "Resource26", text: "x".repeat(100) };
    yield `${JSON.stringify({ stream: `Generated-${Math.floor(i / perStream)}`, type: "Generated", time: "2026-01-01T00:00:00Z", actor: "bench", data })}\n`;
  }
}

function peakOf(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...HEAP, "--import", PRINT_PEAK, "cli/main.ts", ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.on("close", (code) => {
      const peak = /peak (\d+)/.exec(text)?.[1];
      if (code === 0 && peak !== undefined) resolve(Number(peak) / 1024);
      else reject(new Error(`headwater ${args.join(" ")} failed:\n${text}`));
    });
  });
}
