/** Virtual time: tasks run in the order of their times. Tasks with the same time run in the order in which they were scheduled. */
interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Scheduler {
  /** Milliseconds since the world began. */
  now = 0;
  /** How much has happened. */
  steps = 0;
  #order = 0;
  /** A binary heap: the earliest stands first. */
  readonly #tasks: Task[] = [];

  after(milliseconds: number, run: () => void): void {
    const task = { at: this.now + Math.max(0, Math.round(milliseconds)), order: this.#order++, run };
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
  }

  /** Lets time pass up to this moment. */
  runUntil(time: number): void {
    for (let task = this.#tasks[0]; task !== undefined && task.at <= time; task = this.#tasks[0]) {
      this.#removeFirst();
      this.now = task.at;
      this.steps++;
      task.run();
    }
    this.now = time;
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
