/**
 * `npm run simulate -- --seed 1 --runs 1000`: runs one world for each of these seeds, and prints which faults were injected and what was
 * checked. If a promise was broken, it exits with 1 and prints the command that replays the failure.
 *
 *     --trace     prints the story of one world, line by line
 *     --shrink    makes the first failure smaller, and saves it in `regressions/`
 *     --storage   `keeps`: no world's storage fails. Default: `fails`, in about one of eight
 *     --workers   the number of threads; default: the number of processors
 *     --bugs      searches the deliberate bugs instead: each by the seed that found it last, or else in up to `--runs` worlds. It writes
 *                 `bugs/found.json`
 *     --shortest  with `--bugs`: looks through all of `--runs` worlds for the one that catches a bug in the fewest steps
 *     --name      with `--bugs`: only bugs with this text in their names
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { WITHIN } from "./bugs/index.ts";
import { type Search, searchAll } from "./bugs/search.ts";
import { paramsOf } from "./params.ts";
import { bundleProduct } from "./platform/bundle.ts";
import { Pool, seedsFrom } from "./pool.ts";
import { runInTask } from "./run.ts";
import { shrink } from "./shrink.ts";
import { addReport, type Failed, newTally, type Tally } from "./tally.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string" },
    workers: { type: "string", default: String(availableParallelism()) },
    bugs: { type: "boolean", default: false },
    shortest: { type: "boolean", default: false },
    name: { type: "string", default: "" },
    storage: { type: "string", default: "fails" },
    trace: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
  },
});
const most = values.runs ?? (values.bugs ? WITHIN : 1000);
/** Worlds after which a run says how far it is. */
const PROGRESS = 500;

const [seed, runs, workers] = [values.seed, most, values.workers].map(Number) as [number, number, number];
if (![seed, runs, workers].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error("--seed, --runs and --workers are whole numbers.");
  process.exit(2);
}

const storage = values.storage === "keeps" ? "keeps" : "fails";
if (storage !== values.storage) {
  console.error("--storage is fails or keeps.");
  process.exit(2);
}

if (values.bugs) process.exit((await searchBugs()) ? 0 : 1);

console.log(`Seeds ${seed} to ${seed + runs - 1}.`);
const began = performance.now();
const tally = values.trace || runs === 1 ? await here() : await beside();
print(tally, (performance.now() - began) / 1000);
const [first] = tally.failed.sort((a, b) => a.seed - b.seed);
if (first !== undefined) {
  printFailures(tally.failed);
  if (values.shrink) await keep(first);
  process.exit(1);
}

/** Returns whether all were found. */
async function searchBugs(): Promise<boolean> {
  const pool = new Pool(workers);
  const began = performance.now();
  const told = ({ bug, seed: found, others }: Search) => {
    const also = Object.entries(others).map(([by, times]) => `, ${by} ${times} times`);
    console.log(`${found === undefined ? "NOT FOUND" : `seed ${found}`}: ${bug.name}: ${bug.by}${also.join("")}`);
  };
  const searches = await searchAll(pool, { within: runs, part: values.name, take: values.shortest ? "shortest" : "first" }, told);
  await pool.end();
  const found = searches.filter((search) => search.seed !== undefined);
  console.log(`${found.length} of ${searches.length} bugs were found, in ${((performance.now() - began) / 1000).toFixed(0)} s.`);
  return found.length === searches.length;
}

async function here(): Promise<Tally> {
  const all = newTally();
  const product = await bundleProduct();
  const story = values.trace ? (line: string) => console.log(line) : undefined;
  for (let at = seed; at < seed + runs; at++) addReport(all, at, await runInTask(paramsOf(at, storage), product, story));
  return all;
}

async function beside(): Promise<Tally> {
  const pool = new Pool(workers);
  let [done, failures, next] = [0, 0, PROGRESS];
  try {
    return await pool.seeds(seedsFrom(seed, runs), storage, ({ worlds, failed }) => {
      for (const { seed: failing, by, message } of failed) console.log(`seed ${failing}: ${by}: ${message}`);
      done += worlds;
      failures += failed.length;
      if (done < next) return;
      // What a run that is stopped has shown.
      console.log(`${done} of ${runs} worlds, ${failures} failed`);
      next += PROGRESS;
    });
  } finally {
    await pool.end();
  }
}

function print({ worlds, repeated, time, steps, faults, checked, counts, failed }: Tally, seconds: number): void {
  const hours = time / 3_600_000;
  table("Injected", faults);
  table("Checked", checked);
  table("Happened", counts);
  console.log(
    `${worlds} worlds in ${seconds.toFixed(1)} s: ${(worlds / seconds).toFixed(1)} a second, ${Math.round((hours / seconds) * 60)} simulated ` +
      `hours in a minute, ${Math.round(steps / worlds)} steps each; ${repeated} of them were run twice and compared. ${failed.length === 0 ? "Every promise was kept." : `${failed.length} failed.`}`,
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
    console.log(`  npm run simulate -- --seed ${some[0]?.seed} --runs 1 --storage ${storage} --trace`);
  }
}

async function keep({ seed: failing, by }: Failed): Promise<void> {
  const shrunk = await shrink(paramsOf(failing, storage), by, await bundleProduct());
  const name = `${by.replaceAll(/[^a-z0-9]+/gi, "-")}-${failing}.json`;
  writeFileSync(new URL(`./regressions/${name}`, import.meta.url), `${JSON.stringify(shrunk, null, 2)}\n`);
  console.log(`\nShrunk to test/simulation/regressions/${name}: ${shrunk.message}`);
}
