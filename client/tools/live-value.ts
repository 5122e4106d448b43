/**
 * A value that changes, in the form that user interfaces ask for: `subscribe` and `getSnapshot` for React's `useSyncExternalStore`, and,
 * since a listener is called at once with the value, a store for Svelte. It works as long as somebody listens.
 */
export class LiveValue<T> {
  #value: T;
  readonly #start: (set: (value: T) => void) => () => void;
  readonly #listeners = new Set<(value: T) => void>();
  #stop: (() => void) | undefined;

  /** @param start begins to tell of values, and answers what ends that */
  constructor(initial: T, start: (set: (value: T) => void) => () => void) {
    this.#value = initial;
    this.#start = start;
  }

  /** The same object until the value changes. */
  getSnapshot = (): T => this.#value;

  /**
   * Calls `listener` at once, and after each change.
   *
   * @returns ends it
   */
  subscribe = (listener: (value: T) => void): (() => void) => {
    // A listener that is given twice is two listeners.
    const own = (value: T) => listener(value);
    this.#listeners.add(own);
    this.#stop ??= this.#start((value) => {
      this.#value = value;
      // One that throws is an uncaught error of the app, and the others are told.
      for (const each of this.#listeners) queueMicrotask(() => this.#listeners.has(each) && each(value));
    });
    own(this.#value);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  };
}
