/** The clock of an edge in memory. It runs with the real time, and can be moved ahead of it. */
import { boundedWait } from "../../shared/wait.ts";
import type { Clock } from "../../worker/testing/clock.ts";

/** As they were when this file was loaded: fake timers of a test that are installed later do not stop an edge. */
const { setTimeout, clearTimeout } = globalThis;

interface Task {
  readonly at: number;
  readonly run: () => void;
}

export class MemoryClock implements Clock {
  /** Milliseconds ahead of the real time. */
  #ahead = 0;
  readonly #tasks = new Set<Task>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  now(): number {
    return Date.now() + this.#ahead;
  }

  after(milliseconds: number, run: () => void): () => void {
    const task = { at: this.now() + milliseconds, run };
    this.#tasks.add(task);
    this.#arm();
    return () => {
      this.#tasks.delete(task);
      this.#arm();
    };
  }

  /** Whether something is due now. */
  get isDue(): boolean {
    const next = this.#next();
    return next !== undefined && next.at <= this.now();
  }

  /** Runs what is due in these milliseconds, in order. @param settled resolves when what was run has had all its effects */
  async advance(milliseconds: number, settled: () => Promise<void>): Promise<void> {
    const end = this.now() + milliseconds;
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      this.#moveTo(next.at);
      this.#run(next);
      await settled();
    }
    this.#moveTo(end);
  }

  /** Nothing is run any more. */
  stop(): void {
    this.#tasks.clear();
    clearTimeout(this.#timer);
  }

  #moveTo(time: number): void {
    this.#ahead += Math.max(0, time - this.now());
  }

  #next(): Task | undefined {
    let first: Task | undefined;
    for (const task of this.#tasks) if (first === undefined || task.at < first.at) first = task;
    return first;
  }

  #run(task: Task): void {
    this.#tasks.delete(task);
    task.run();
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const next = this.#next();
    if (next === undefined) return;
    const timer: unknown = setTimeout(() => this.#runDue(), boundedWait(next.at - this.now()));
    this.#timer = timer as ReturnType<typeof setTimeout>; // of whatever runtime
    // In Node it has this method: an alarm that is far away does not keep the process alive.
    if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") timer.unref();
  }

  #runDue(): void {
    for (let next = this.#next(); next !== undefined && next.at <= this.now(); next = this.#next()) this.#run(next);
    this.#arm();
  }
}

/** Resolves when the promises of this turn have gone on. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
