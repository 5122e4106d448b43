/** A thread that runs worlds in parallel to others: it receives seeds, and answers with the results. */
import { parentPort } from "node:worker_threads";
import { paramsOf } from "./params.ts";
import { runWorld } from "./run.ts";
import { addReport, newTally } from "./tally.ts";

/** Some seeds in a row. */
export interface Batch {
  readonly from: number;
  readonly count: number;
}

parentPort?.on("message", ({ from, count }: Batch) => {
  const tally = newTally();
  for (let seed = from; seed < from + count; seed++) addReport(tally, seed, runWorld(paramsOf(seed)));
  parentPort?.postMessage(tally);
});
