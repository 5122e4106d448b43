/**
 * A value that changes, in the form that user interfaces ask for: `subscribe` and `getSnapshot` for React's `useSyncExternalStore`. Since a
 * listener is called at once with the value, it is a store for Svelte, too.
 */
export class LiveValue<T> {
  #value: T;
  readonly #start: (set: (value: T) => void) => () => void;
  readonly #listeners = new Set<(value: T) => void>();
  #stop: (() => void) | undefined;

  /**
   * @internal
   * @param start is called with the first listener. It sets values from then on, and returns a function that ends that: called when the
   *   last listener is gone
   */
  constructor(initial: T, start: (set: (value: T) => void) => () => void) {
    this.#value = initial;
    this.#start = start;
  }

  /** The same object until the value changes. */
  getSnapshot = (): T => this.#value;

  /**
   * Calls `listener` at once with the value, and again after each change, in a microtask. A listener that throws causes an uncaught error
   * and does not stop the others.
   *
   * @returns a function that ends it
   */
  subscribe = (listener: (value: T) => void): (() => void) => {
    // A listener that is passed twice is two listeners.
    const own = (value: T) => listener(value);
    this.#listeners.add(own);
    this.#stop ??= this.#start((value) => this.set(value));
    own(this.#value);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  };

  /** @internal Sets the value and notifies the listeners. */
  protected set(value: T): void {
    this.#value = value;
    for (const each of this.#listeners) queueMicrotask(() => this.#listeners.has(each) && each(value));
  }
}

/** A live value that is kept up to date also while nobody listens. */
export class LiveCell<T> extends LiveValue<T> {
  constructor(initial: T) {
    super(initial, () => () => undefined);
  }

  override set(value: T): void {
    super.set(value);
  }
}
