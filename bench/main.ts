/** `npm run bench`: every measurement beside its baseline in the same run. It judges nothing. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { promisify } from "node:util";
import { startEdge } from "../test/support/edge.ts";
import { fileOf, measureInBrowser } from "./browser.ts";
import { measureEdge } from "./edge.ts";
import { type Measurement, median, ratio } from "./measure.ts";
import { measureMemory } from "./memory.ts";

const run = promisify(execFile);
const edge = await startEdge();
try {
  const measurements = await measureEdge(edge.url);
  const filled: Record<string, string> = {};
  for (const file of ["permits", "tickets"]) {
    filled[file] = `${edge.url}/v1/${file}`;
    await run(process.execPath, ["cli/main.ts", "import", fileOf(file), "--url", filled[file]]);
  }
  measurements.push(...(await measureInBrowser(filled)));
  const memory = await measureMemory(edge.url);
  const rows = await countRows();
  print(measurements);
  console.log("\nPeak memory of the command line, MiB");
  console.table(memory.map(({ command, events, peak }) => ({ command, events, peak: Math.round(peak) })));
  console.log(
    `\nRows written per commit, all in all: ${rows.map(({ events, rows: written }) => `${events} event${events === 1 ? "" : "s"}: ${written}`).join(", ")}`,
  );
  await mkdir("bench/results", { recursive: true });
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
  await writeFile("bench/results/latest.json", `${JSON.stringify({ machine, measurements, memory, rows }, undefined, 2)}\n`);
} finally {
  await edge.stop();
}

function print(measurements: readonly Measurement[]): void {
  console.table(
    measurements.map((measurement) => {
      const { name, baseline, count, unit, ours, theirs } = measurement;
      const rate = (times: readonly number[]) => `${Math.round((count / median(times)) * 1000).toLocaleString("en")}/s`;
      return {
        what: name,
        unit,
        ours: rate(ours),
        baseline: rate(theirs),
        ratio: Number(ratio(measurement).toFixed(2)),
        "compared with": baseline,
      };
    }),
  );
}

/** Counted where the objects run: the test of the cost prints what it counts. */
async function countRows(): Promise<{ events: number; rows: number }[]> {
  const { stdout } = await run(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--project", "workerd", "test/worker/cost.test.ts"],
    { env: { ...process.env, NO_COLOR: "1" } },
  );
  return [...stdout.matchAll(/rows written: (\d+) events?: (\d+)/g)].map(([, events, rows]) => ({
    events: Number(events),
    rows: Number(rows),
  }));
}
