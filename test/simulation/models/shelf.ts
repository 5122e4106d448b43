/** A database beside the store's. It holds one value, and draws by itself how much of it a crash loses. */
import type { Random } from "../random.ts";

export class Shelf<T> {
  /** The last is what is there; a crash may leave any of them. */
  #values: T[];

  constructor(value: T) {
    this.#values = [value];
  }

  get value(): T {
    return this.#values.at(-1) as T; // there is always one
  }

  put(value: T): void {
    this.#values.push(value);
    // Long before, it is on the disk.
    if (this.#values.length > MOST) this.#values.shift();
  }

  crash(random: Random): void {
    this.#values = [this.#values[random.between(0, this.#values.length - 1)] as T]; // within its length
  }
}

const MOST = 4;
