/**
 * Virtual time: tasks run in the order of their times. Tasks with the same time run in the order in which they were scheduled. After each
 * task, every promise that can continue has done so.
 */
import { runMicrotasks } from "./microtasks.ts";

interface Task {
  readonly at: number;
  readonly order: number;
  run: () => void;
}

export class Scheduler {
  /** Milliseconds since the world began. */
  now = 0;
  /** How much has happened. */
  steps = 0;
  /** What takes more turns in circles. */
  mostSteps: number;
  /** Nothing runs any more. */
  isStopped = false;
  #order = 0;
  /** A binary heap: the earliest stands first. */
  readonly #tasks: Task[] = [];

  constructor(mostSteps = Number.POSITIVE_INFINITY) {
    this.mostSteps = mostSteps;
  }

  /** @returns a function that cancels the task */
  after(milliseconds: number, run: () => void): () => void {
    const task: Task = { at: this.now + Math.max(0, Math.round(milliseconds)), order: this.#order++, run };
    const tasks = this.#tasks;
    let place = tasks.length;
    tasks.push(task);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = tasks[parent];
      if (above === undefined || isBefore(above, task)) break;
      tasks[place] = above;
      place = parent;
    }
    tasks[place] = task;
    return () => {
      task.run = nothing;
    };
  }

  /** Lets time pass up to this moment, in whole milliseconds: what a sum is off by would change an order. @throws Error if it takes too many steps */
  runUntil(moment: number): void {
    const time = Math.round(moment);
    for (let task = this.#tasks[0]; task !== undefined && task.at <= time && !this.isStopped; task = this.#tasks[0]) {
      this.#removeFirst();
      this.now = task.at;
      if (this.steps++ > this.mostSteps) throw new Error(`more than ${this.mostSteps} steps: something turns in circles`);
      task.run();
      runMicrotasks();
    }
    if (!this.isStopped) this.now = time;
  }

  #removeFirst(): void {
    const tasks = this.#tasks;
    const last = tasks.pop();
    if (last === undefined || tasks.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      let below = tasks[child];
      if (below === undefined) break;
      const right = tasks[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        child++;
        below = right;
      }
      if (isBefore(last, below)) break;
      tasks[place] = below;
      place = child;
    }
    tasks[place] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function nothing(): void {}
