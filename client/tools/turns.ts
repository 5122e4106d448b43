/** Work of one tab on the same thing, one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Does `work` when all that was begun for `name` before is over, however that ended. */
  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(name, promise);
    await before;
    try {
      return await work();
    } finally {
      resolve();
      if (this.#last.get(name) === promise) this.#last.delete(name);
    }
  }
}
