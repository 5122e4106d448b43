/**
 * `npm run simulate -- --seed 1 --runs 1000`: runs one world for each of these seeds, and prints which faults were injected and what was
 * checked. If a promise was broken, it exits with 1 and prints the command that replays the failure.
 *
 *     --trace     prints the story of one world, line by line
 *     --shrink    makes the first failure smaller, and saves it in `regressions/`
 *     --workers   the number of threads; default: the number of processors
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { paramsOf } from "./params.ts";
import { runWorld } from "./run.ts";
import { shrink } from "./shrink.ts";
import { addReport, addTally, type Failed, newTally, type Tally } from "./tally.ts";
import type { Batch } from "./worker.ts";

/** Worlds that a thread runs before it tells of them. */
const BATCH = 50;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1000" },
    workers: { type: "string", default: String(availableParallelism()) },
    trace: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
  },
});
const [seed, runs, workers] = [values.seed, values.runs, values.workers].map(Number) as [number, number, number];
if (![seed, runs, workers].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error("--seed, --runs and --workers are whole numbers.");
  process.exit(2);
}

console.log(`Seeds ${seed} to ${seed + runs - 1}.`);
const began = performance.now();
const tally = values.trace || runs === 1 ? here() : await beside();
print(tally, (performance.now() - began) / 1000);
const [first] = tally.failed.sort((a, b) => a.seed - b.seed);
if (first !== undefined) {
  printFailures(tally.failed);
  if (values.shrink) keep(first);
  process.exit(1);
}

function here(): Tally {
  const all = newTally();
  const story = values.trace ? (line: string) => console.log(line) : undefined;
  for (let at = seed; at < seed + runs; at++) addReport(all, at, runWorld(paramsOf(at), undefined, story));
  return all;
}

async function beside(): Promise<Tally> {
  const all = newTally();
  let next = seed;
  const batch = (): Batch | undefined => {
    const from = next;
    next = Math.min(seed + runs, from + BATCH);
    return next > from ? { from, count: next - from } : undefined;
  };
  await Promise.all(Array.from({ length: Math.min(workers, Math.ceil(runs / BATCH)) }, () => work(all, batch)));
  return all;
}

function work(all: Tally, batch: () => Batch | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url));
    const give = () => {
      const given = batch();
      if (given === undefined) worker.terminate().then(() => resolve(), reject);
      else worker.postMessage(given);
    };
    worker.on("message", (part: Tally) => {
      addTally(all, part);
      give();
    });
    worker.on("error", reject);
    give();
  });
}

function print({ worlds, time, steps, faults, checked, counts, failed }: Tally, seconds: number): void {
  const hours = time / 3_600_000;
  table("Injected", faults);
  table("Checked", checked);
  table("Happened", counts);
  console.log(
    `${worlds} worlds in ${seconds.toFixed(1)} s: ${Math.round(worlds / seconds)} a second, ${Math.round((hours / seconds) * 60)} simulated ` +
      `hours in a minute, ${Math.round(steps / worlds)} steps each. ${failed.length === 0 ? "Every promise was kept." : `${failed.length} failed.`}`,
  );
}

function table(title: string, counts: Readonly<Record<string, number>>): void {
  console.log(`${title}:`);
  for (const name of Object.keys(counts).sort()) console.log(`  ${String(counts[name]).padStart(12)}  ${name}`);
}

function printFailures(failed: readonly Failed[]): void {
  for (const [by, some] of Map.groupBy(failed, (failure) => failure.by)) {
    console.log(`\n${by}: ${some.length} of the seeds, ${some.slice(0, 10).map((failure) => failure.seed)}`);
    console.log(`  seed ${some[0]?.seed}: ${some[0]?.message}`);
    console.log(`  npm run simulate -- --seed ${some[0]?.seed} --runs 1 --trace`);
  }
}

function keep({ seed: failing, by }: Failed): void {
  const shrunk = shrink(paramsOf(failing), by);
  const name = `${by.replaceAll(/[^a-z0-9]+/gi, "-")}-${failing}.json`;
  writeFileSync(new URL(`./regressions/${name}`, import.meta.url), `${JSON.stringify(shrunk, null, 2)}\n`);
  console.log(`\nShrunk to test/simulation/regressions/${name}: ${shrunk.message}`);
}
