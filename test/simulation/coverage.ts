/**
 * `node test/simulation/coverage.ts --seed 1 --runs 200`: runs one world for each of these seeds, and prints which lines of the product they
 * ran. It counts what ran in the two bundles that the worlds are made of.
 *
 *     --partly   prints also the lines of which a part did not run
 */
import { readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type CountedRange, linesWithCode, type Ran, ranOf } from "./covered-lines.ts";
import { type FileCoverage, printTable } from "./covered-table.ts";
import { paramsOf } from "./params.ts";
import { bundleProduct } from "./platform/bundle.ts";
import { runInTask } from "./run.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUNDLES = ["client.bundle.js", "worker.bundle.js"];
const ROOMS = ["client", "worker", "shared"];

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "200" },
    partly: { type: "boolean", default: false },
  },
});
const [seed, runs] = [Number(values.seed), Number(values.runs)];
if (![seed, runs].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error("--seed and --runs are whole numbers.");
  process.exit(2);
}

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
const began = performance.now();
const product = await bundleProduct();
const failed: string[] = [];
for (let at = seed; at < seed + runs; at++) {
  const { failure } = await runInTask(paramsOf(at), product);
  if (failure !== undefined) failed.push(`${at} (${failure.by})`);
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
const ran = await takeCoverage();
const files: FileCoverage[] = [];
for (const room of ROOMS) for (const file of sourcesIn(room)) files.push(await coverageOf(file));
printTable(files, values.partly);
console.log(
  `\n${runs} worlds in ${seconds} s, seeds ${seed} to ${seed + runs - 1}.${failed.length === 0 ? "" : ` Failed: ${failed.join(", ")}.`}`,
);
session.disconnect();

async function takeCoverage(): Promise<ReadonlyMap<string, Ran>> {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const rangesOf = new Map<string, readonly CountedRange[]>();
  for (const { scriptId, url, functions } of result) {
    if (BUNDLES.includes(url))
      rangesOf.set(
        scriptId,
        functions.flatMap(({ ranges }) => ranges),
      );
  }
  // The text of a script is known to the debugger alone.
  await session.post("Debugger.enable");
  const all = new Map<string, Ran>();
  for (const [scriptId, ranges] of rangesOf) {
    const { scriptSource } = await session.post("Debugger.getScriptSource", { scriptId });
    for (const [file, { some, notAll }] of ranOf(scriptSource, ranges)) {
      const known = all.get(file) ?? { some: new Set(), notAll: new Set() };
      all.set(file, { some: known.some.union(some), notAll: known.notAll.union(notAll) });
    }
  }
  return all;
}

async function coverageOf(file: string): Promise<FileCoverage> {
  const lines = await linesWithCode(readFileSync(join(ROOT, file), "utf8"));
  const { some, notAll } = ran.get(file) ?? { some: new Set(), notAll: new Set() };
  const isBundled = ran.has(file);
  const run = lines.intersection(some);
  return { file, isBundled, lines, run, partly: run.intersection(notAll) };
}

function sourcesIn(room: string): readonly string[] {
  return readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}
