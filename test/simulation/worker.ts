/** A thread that runs worlds: of many seeds, of one saved failure, or of a deliberate bug until it is caught. */
import { constants, setPriority } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { parentPort } from "node:worker_threads";
import { BUGS } from "./bugs/index.ts";
import { type Params, paramsOf } from "./params.ts";
import { bundleProduct } from "./platform/bundle.ts";
import { type Report, runInTask } from "./run.ts";
import { addReport, newTally, type Tally } from "./tally.ts";
import type { World } from "./world.ts";

export type Job =
  | { readonly kind: "seeds"; readonly seeds: readonly number[]; readonly storage: "fails" | "keeps" }
  | { readonly kind: "world"; readonly params: Params }
  | BugJob;

export interface BugJob {
  readonly kind: "bug";
  readonly name: string;
  readonly seeds: readonly number[];
  /** The first of the seeds that catches it, or the one that takes the fewest steps to. Default: the first. */
  readonly take?: "first" | "shortest";
  /** Whether it is taken for granted that the world keeps every promise without the bug. Default: this is checked. */
  readonly isTrusted?: boolean;
}

export interface Outcomes {
  readonly seeds: Tally;
  readonly world: Report;
  /** The seed that caught it; undefined if none did. Other checkers, by how often they caught something. */
  readonly bug: { readonly seed: number | undefined; readonly others: Readonly<Record<string, number>> };
}

/** Each seed that this divides is run twice, and must come to the same. */
const TWICE = 10;

/** Minutes of a world in which a bug is sought: most show soon, in dense worlds. */
const SHORT = 1.5;

// Whoever waits for an answer goes first. On Linux this is the priority of the thread alone.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

const sound = bundleProduct();

async function perform(job: Job): Promise<Outcomes[Job["kind"]]> {
  switch (job.kind) {
    case "seeds":
      return runSeeds(job);
    case "world":
      return runInTask(job.params, await sound);
    case "bug":
      return runBug(job);
    default:
      return job satisfies never;
  }
}

async function runSeeds({ seeds, storage }: Job & { readonly kind: "seeds" }): Promise<Tally> {
  const tally = newTally();
  for (const seed of seeds) {
    const report = await runInTask(paramsOf(seed, storage), await sound);
    addReport(tally, seed, report);
    if (seed % TWICE !== 0) continue;
    const again = await runInTask(paramsOf(seed, storage), await sound);
    tally.repeated++;
    if (isDeepStrictEqual(again, report)) continue;
    tally.failed.push({
      seed,
      by: "determinism",
      message: `it was ${JSON.stringify(report)}, and ${JSON.stringify(again)} the second time`,
    });
  }
  return tally;
}

async function runBug({ name, seeds, take = "first", isTrusted = false }: BugJob): Promise<Outcomes["bug"]> {
  const bug = BUGS.find((known) => known.name === name);
  if (bug === undefined) throw new Error(`there is no bug "${name}"`);
  const product = await bundleProduct(bug.patches);
  const others: Record<string, number> = {};
  let caught: { readonly seed: number; readonly steps: number } | undefined;
  for (const seed of seeds) {
    const params = paramsOf(seed);
    const world = { ...params, minutes: Math.min(params.minutes, SHORT), ...bug.world };
    const most = caught?.steps;
    const { failure, time, steps, isOver } = await runInTask(world, product, undefined, ({ scheduler }) => {
      scheduler.mostSteps = Math.min(scheduler.mostSteps, most ?? scheduler.mostSteps);
    });
    if (failure === undefined || (most !== undefined && steps > most)) continue;
    if (failure.by !== bug.by) others[failure.by] = (others[failure.by] ?? 0) + 1;
    else if (!isTrusted && !(await isSound(world, isOver ? undefined : time)))
      others["without the bug"] = (others["without the bug"] ?? 0) + 1;
    else if (take === "first") return { seed, others };
    else caught = { seed, steps };
  }
  return { seed: caught?.seed, others };
}

/**
 * Whether this world keeps every promise without any bug: its faults may be stronger than in any that a seed draws.
 *
 * @param caughtAt when the bug was caught, in virtual milliseconds: what comes later does not matter. Default: when all was over
 */
async function isSound(params: Params, caughtAt = Number.POSITIVE_INFINITY): Promise<boolean> {
  const prepare = (world: World) => {
    world.until = caughtAt + 1;
  };
  return (await runInTask(params, await sound, undefined, prepare)).failure === undefined;
}

parentPort?.on("message", (job: Job) => {
  perform(job).then(
    (outcome) => parentPort?.postMessage({ outcome }),
    (error: unknown) => parentPort?.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
