/** What the tests of the stand-ins run them on: tabs with an event loop each, in virtual time, synchronously. */
import type { EventLoop } from "./event-loop.ts";
import { runMicrotasks } from "./microtasks.ts";

interface Task {
  readonly at: number;
  readonly tab: TestTab;
  readonly run: () => void;
}

export class TestWorld {
  now = 0;
  /** What tasks have thrown. */
  readonly errors: unknown[] = [];
  /** In the order in which they run. */
  #tasks: Task[] = [];

  openTab(): TestTab {
    return new TestTab(this);
  }

  add(task: Task): void {
    const place = this.#tasks.findIndex(({ at }) => at > task.at);
    this.#tasks.splice(place === -1 ? this.#tasks.length : place, 0, task);
  }

  /** Runs what is due in so many milliseconds. */
  run(milliseconds = 0): void {
    const end = this.now + milliseconds;
    runMicrotasks();
    for (let task = this.#tasks[0]; task !== undefined && task.at <= end; task = this.#tasks[0]) {
      this.#tasks.shift();
      this.now = task.at;
      this.#try(task);
      runMicrotasks();
    }
    this.now = end;
  }

  #try({ tab, run }: Task): void {
    try {
      tab.take(run);
    } catch (error) {
      this.errors.push(error);
    }
  }
}

export class TestTab implements EventLoop {
  readonly #world: TestWorld;
  #state: "running" | "frozen" | "dead" = "running";
  #waiting: (() => void)[] = [];

  constructor(world: TestWorld) {
    this.#world = world;
  }

  get now(): number {
    return this.#world.now;
  }

  post(milliseconds: number, run: () => void): void {
    this.#world.add({ at: this.now + milliseconds, tab: this, run });
  }

  take(run: () => void): void {
    if (this.#state === "running") run();
    else if (this.#state === "frozen") this.#waiting.push(run);
  }

  freeze(): void {
    this.#state = "frozen";
  }

  thaw(): void {
    this.#state = "running";
    for (const run of this.#waiting.splice(0)) this.post(0, run);
  }

  kill(): void {
    this.#state = "dead";
  }
}

/** Runs the body in a task of Node's: inside of a promise's callback, as a test is, microtasks would wait until it has ended. */
export function inTask(body: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        body();
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

export interface Outcome {
  /** The name of the error, if it was rejected with one. */
  rejected?: string;
  resolved?: unknown;
}

/** Shows how far a promise is: an empty object while it is pending. */
export function outcomeOf(promise: Promise<unknown>): Outcome {
  const outcome: Outcome = {};
  promise.then(
    (value) => {
      outcome.resolved = value;
    },
    (error: unknown) => {
      outcome.rejected = error instanceof Error ? error.name : String(error);
    },
  );
  return outcome;
}
