/** `npm run bench`: runs every measurement with its baseline. No result makes it fail. `npm run bench -- browser` runs one part. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { promisify } from "node:util";
import { EDGE_ALONE, startEdge } from "../test/support/edge.ts";
import { fileOf, measureInBrowser, measureLiveInBrowser, measureModelInBrowser, measurePagesInBrowser } from "./browser.ts";
import { measureCommands } from "./commands.ts";
import { measureDigests } from "./digests.ts";
import { measureEdge } from "./edge.ts";
import { type Measurement, median, quantile, ratio } from "./measure.ts";
import { measureMemory } from "./memory.ts";
import { BASELINE, measureOutboxes, STREAMS } from "./outboxes.ts";
import { measureBesideReaders } from "./readers.ts";

const PARTS = ["edge", "browser", "pages", "live", "model", "outbox", "memory", "rows", "readers", "commands", "digests"] as const;
type Part = (typeof PARTS)[number];

const run = promisify(execFile);
const given = process.argv.slice(2);
const unknown = given.find((part) => !PARTS.some((known) => known === part));
if (unknown !== undefined) throw new Error(`There is no part ${unknown}. Choose from ${PARTS.join(", ")}.`);
const wants = (part: Part) => given.length === 0 || given.includes(part);

const edge = await startEdge({ AUTH: "open" }, EDGE_ALONE);
try {
  const measurements: Measurement[] = [];
  if (wants("edge")) measurements.push(...(await measureEdge(edge.url)));
  if (wants("digests")) measurements.push(...(await measureDigests()));
  if (wants("browser")) measurements.push(...(await measureInBrowser(await fillStores())));
  if (wants("pages")) measurements.push(await measurePagesInBrowser());
  const modelled = wants("model") ? await measureModelInBrowser() : undefined;
  measurements.push(...(modelled?.measurements ?? []));
  if (measurements.length > 0) print(measurements);
  const live = wants("live") ? await measureLive() : [];
  if (live.length > 0) {
    console.log("\nFrom an append on one device until another one reads it, both in Chromium; milliseconds");
    console.table(live);
  }
  const model = (modelled?.latencies ?? []).map(({ what, times }) => latencyOf(what, times));
  if (model.length > 0) {
    console.log("\nReads and live values, in Chromium; milliseconds");
    console.table(model);
  }
  const outboxes = wants("outbox") ? await measureOutboxes(edge.url) : [];
  if (outboxes.length > 0) {
    console.log(
      `\n${BASELINE}, and the sync of commits of one event that were appended offline, to ${STREAMS} streams in turn, in Chromium`,
    );
    console.table(outboxes);
  }
  const memory = wants("memory") ? await measureMemory(edge.url) : [];
  if (memory.length > 0) {
    console.log("\nPeak memory of the command line, MiB");
    console.table(memory.map(({ command, events, streams, peak }) => ({ command, events, streams, peak: Math.round(peak) })));
  }
  const rows = wants("rows") ? await countRows() : [];
  const counted = rows.map(({ events, rows: written }) => `${events} event${events === 1 ? "" : "s"}: ${written}`);
  if (rows.length > 0) console.log(`\nRows written per commit, by all objects together: ${counted.join(", ")}`);
  const readers = wants("readers") ? await measureBesideReaders() : undefined;
  if (readers !== undefined) {
    console.log("\nAppends beside readers of 200,000 events who get little or nothing, and alone in the same run; milliseconds");
    console.table(readers.beside);
    console.log(`A page of 200 streams with limit=1: ${readers.manyStreams.toFixed(1)} ms`);
  }
  const commands = wants("commands") ? await measureCommands() : [];
  if (commands.length > 0) {
    console.log("\nCommands that the edge decides beside appends without one, to streams of 1,000 events; a second, one after the other");
    console.table(commands);
  }
  // Only a run of all parts is saved, so that the saved results are those of one run.
  if (given.length === 0) {
    await mkdir("bench/results", { recursive: true });
    const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
    await writeFile(
      "bench/results/latest.json",
      `${JSON.stringify({ machine, measurements, live, model, outboxes, memory, rows, readers, commands }, undefined, 2)}\n`,
    );
  }
} finally {
  await edge.stop();
}

interface Latency {
  readonly what: string;
  readonly events: number;
  readonly p50: number;
  readonly p99: number;
}

function latencyOf(what: string, times: readonly number[]): Latency {
  const rounded = (part: number) => Number(quantile(times, part).toFixed(1));
  return { what, events: times.length, p50: rounded(0.5), p99: rounded(0.99) };
}

/** One event at a time, each followed by an echo on a bare WebSocket of the same runtime. */
async function measureLive(): Promise<Latency[]> {
  const bare = await startEdge({}, "bench/bare/wrangler.toml");
  try {
    const { seen, echoed } = await measureLiveInBrowser(`${edge.url}/v1/live`, `${bare.url.replace("http", "ws")}/echo`, 500);
    return [latencyOf("ours", seen), latencyOf("a bare WebSocket's echo", echoed)];
  } finally {
    await bare.stop();
  }
}

/** Imports each file into a store at the edge. @returns the URL of the store for each file */
async function fillStores(): Promise<Record<string, string>> {
  const filled: Record<string, string> = {};
  for (const file of ["permits", "tickets"]) {
    filled[file] = `${edge.url}/v1/${file}`;
    await run(process.execPath, ["cli/main.ts", "import", fileOf(file), "--url", filled[file]]);
  }
  return filled;
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

/** The rows are counted in workerd, where the objects run: the test of the cost prints them. */
async function countRows(): Promise<{ events: number; rows: number }[]> {
  const { stdout } = await run(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--project", "workerd", "test/worker/cost.test.ts", "-t", "writes at most"],
    { env: { ...process.env, NO_COLOR: "1" } },
  );
  return [...stdout.matchAll(/rows written: (\d+) events?: (\d+)/g)].map(([, events, rows]) => ({
    events: Number(events),
    rows: Number(rows),
  }));
}
