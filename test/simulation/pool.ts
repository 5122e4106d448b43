/** Threads that run worlds side by side. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { addTally, newTally, type Tally } from "./tally.ts";
import type { Job, Outcomes } from "./worker.ts";

/** Worlds that a thread runs before it reports. */
const BATCH = 10;

type Answer = { readonly outcome: unknown } | { readonly error: string };

interface Task {
  readonly job: Job;
  readonly settle: PromiseWithResolvers<unknown>;
}

export class Pool {
  /** How many there are. */
  readonly threads: number;
  readonly #workers: readonly Worker[];
  readonly #idle: Worker[];
  readonly #waiting: Task[] = [];
  readonly #running = new Map<Worker, Task>();

  /** @param threads default: as many as there are processors */
  constructor(threads = availableParallelism()) {
    this.threads = threads;
    this.#workers = Array.from({ length: threads }, () => this.#start());
    this.#idle = [...this.#workers];
  }

  #start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url));
    worker.on("message", (answer: Answer) => {
      const settle = this.#running.get(worker)?.settle;
      this.#running.delete(worker);
      this.#idle.push(worker);
      if ("error" in answer) settle?.reject(new Error(answer.error));
      else settle?.resolve(answer.outcome);
      this.#next();
    });
    worker.on("error", (error) => this.#running.get(worker)?.settle.reject(error));
    return worker;
  }

  #next(): void {
    const task = this.#waiting[0];
    const worker = task && this.#idle.pop();
    if (task === undefined || worker === undefined) return;
    this.#waiting.shift();
    this.#running.set(worker, task);
    worker.postMessage(task.job);
  }

  async run<K extends Job["kind"]>(job: Job & { readonly kind: K }): Promise<Outcomes[K]> {
    const settle = Promise.withResolvers<unknown>();
    this.#waiting.push({ job, settle });
    this.#next();
    return (await settle.promise) as Outcomes[K]; // of the job that was given
  }

  /** A world of each seed. @param storage as `paramsOf` takes it @param onBatch called with each batch as it comes in */
  async seeds(seeds: readonly number[], storage: "fails" | "keeps", onBatch: (part: Tally) => void = () => undefined): Promise<Tally> {
    const all = newTally();
    const batches = Array.from({ length: Math.ceil(seeds.length / BATCH) }, (_, i) => seeds.slice(i * BATCH, (i + 1) * BATCH));
    await Promise.all(
      batches.map(async (batch) => {
        const part = await this.run({ kind: "seeds", seeds: batch, storage });
        onBatch(part);
        addTally(all, part);
      }),
    );
    return all;
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** So many seeds, one after the other. */
export function seedsFrom(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}
