/**
 * Events, without a browser's costs: the classes of Node take microseconds and report errors by timers of their own. An event runs the
 * listeners of its target, then those of the target's parents if it bubbles. There is no capturing phase, which the product has no use for.
 * The `on…` property runs before the listeners. No fault can strike here.
 */

export interface EventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly oldVersion?: number;
  readonly newVersion?: number | null;
}

/** `Event` and `IDBVersionChangeEvent`. */
export class DatabaseEvent {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly oldVersion: number | undefined;
  readonly newVersion: number | null | undefined;
  target: EventSource | null = null;
  currentTarget: EventSource | null = null;
  defaultPrevented = false;
  isStopped = false;

  constructor(type: string, { bubbles = false, cancelable = false, oldVersion, newVersion }: EventInit = {}) {
    this.type = type;
    this.bubbles = bubbles;
    this.cancelable = cancelable;
    this.oldVersion = oldVersion;
    this.newVersion = newVersion;
  }

  preventDefault(): void {
    if (this.cancelable) this.defaultPrevented = true;
  }

  stopPropagation(): void {
    this.isStopped = true;
  }

  get [Symbol.toStringTag](): string {
    return this.oldVersion === undefined ? "Event" : "IDBVersionChangeEvent";
  }
}

type Callback = ((event: DatabaseEvent) => void) | { handleEvent(event: DatabaseEvent): void };

interface Listener {
  readonly type: string;
  readonly callback: Callback;
  readonly isOnce: boolean;
}

const NONE: readonly Listener[] = [];

export class EventSource {
  /** Replaced at each change, so that a dispatch reads a list that stays the same. */
  #listeners: readonly Listener[] = NONE;

  addEventListener(type: string, callback: Callback | null, options?: boolean | { readonly once?: boolean }): void {
    if (callback === null || this.#find(type, callback) !== undefined) return;
    const isOnce = typeof options === "object" && options.once === true;
    this.#listeners = [...this.#listeners, { type, callback, isOnce }];
  }

  removeEventListener(type: string, callback: Callback | null): void {
    const listener = callback === null ? undefined : this.#find(type, callback);
    if (listener !== undefined) this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  /** The next target of an event that bubbles. */
  get parent(): EventSource | undefined {
    return undefined;
  }

  /** Runs the listeners. Returns what they threw. */
  dispatch(event: DatabaseEvent): unknown[] {
    const thrown: unknown[] = [];
    event.target = this;
    for (let at: EventSource | undefined = this; at !== undefined; at = at.parent) {
      at.#run(event, thrown);
      if (!event.bubbles || event.isStopped) break;
    }
    event.currentTarget = null;
    return thrown;
  }

  #run(event: DatabaseEvent, thrown: unknown[]): void {
    event.currentTarget = this;
    const handler = (this as unknown as Record<string, unknown>)[`on${event.type}`];
    if (typeof handler === "function") this.#call(handler as Callback, event, thrown);
    const listeners = this.#listeners;
    for (const listener of listeners) {
      if (listener.type !== event.type) continue;
      if (listeners !== this.#listeners && !this.#listeners.includes(listener)) continue;
      if (listener.isOnce) this.removeEventListener(listener.type, listener.callback);
      this.#call(listener.callback, event, thrown);
    }
  }

  #call(callback: Callback, event: DatabaseEvent, thrown: unknown[]): void {
    try {
      if (typeof callback === "function") callback.call(this, event);
      else callback.handleEvent(event);
    } catch (error) {
      thrown.push(error); // the caller reports it
    }
  }

  #find(type: string, callback: Callback): Listener | undefined {
    return this.#listeners.find((listener) => listener.type === type && listener.callback === callback);
  }
}
