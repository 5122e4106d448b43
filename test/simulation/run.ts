/** Runs worlds, one for each seed, and returns their results. */
import { type Checker, Violation } from "./checkers/checker.ts";
import type { Params } from "./params.ts";
import type { Product } from "./platform/bundle.ts";
import { EndedEarly, NotConverged, type Story, World } from "./world.ts";

export interface Failure {
  /** Which checker, or what else it was. */
  readonly by: string;
  readonly message: string;
}

export interface Report {
  readonly failure: Failure | undefined;
  /** Of all traffic. */
  readonly digest: string;
  readonly faults: Readonly<Record<string, number>>;
  readonly checked: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<string, number>>;
  /** Virtual milliseconds. */
  readonly time: number;
  /** Whether all has happened, and the checkers made their final checks. */
  readonly isOver: boolean;
  readonly steps: number;
}

/**
 * Must not be called from within a promise: the world runs all of them itself.
 *
 * @param prepare gets the world before it begins
 */
function runWorld(params: Params, product: Product, story?: Story, prepare?: (world: World) => void): Report {
  const world = new World(params, product, story);
  prepare?.(world);
  let failure: Failure | undefined;
  const { stackTraceLimit } = Error;
  // Most errors of a world are answers, and their stacks would cost a tenth of its time. Whoever traces it sees them.
  if (story === undefined) Error.stackTraceLimit = 0;
  try {
    world.run();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!(error instanceof EndedEarly)) failure = failureOf(error);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    world.edge.close();
  }
  const { faults, checkers, counts, scheduler } = world;
  return {
    failure,
    digest: world.digest(),
    faults: Object.fromEntries(faults.injected),
    checked: Object.fromEntries(checkers.map(({ name, checked }: Checker) => [name, checked])),
    counts: Object.assign(Object.fromEntries(counts), ...checkers.map(({ noted }) => noted)),
    time: scheduler.now,
    isOver: world.isOver,
    steps: scheduler.steps,
  };
}

function failureOf(error: Error): Failure {
  const by = error instanceof Violation || error instanceof NotConverged ? error.checker : "broken";
  return { by, message: by === "broken" ? (error.stack ?? error.message) : error.message };
}

/** Runs a world in a task of its own, and sees what nobody in it has caught. Worlds run one after the other. */
export async function runInTask(params: Params, product: Product, story?: Story, prepare?: (world: World) => void): Promise<Report> {
  const rejections: unknown[] = [];
  const onRejection = (error: unknown) => rejections.push(error);
  process.on("unhandledRejection", onRejection);
  try {
    const report = await inTask(() => runWorld(params, product, story, prepare));
    // They are told of when the task has ended.
    await inTask(() => undefined);
    const [first] = rejections;
    if (first === undefined || report.failure !== undefined) return report;
    const message = `nobody caught: ${first instanceof Error ? (first.stack ?? first.message) : String(first)}`;
    return { ...report, failure: { by: "errors", message } };
  } finally {
    process.off("unhandledRejection", onRejection);
  }
}

function inTask<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error);
      }
    });
  });
}
