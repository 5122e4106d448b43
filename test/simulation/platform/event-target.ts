/**
 * What dispatches events in the stand-ins of the browser. Node's own `EventTarget` throws the errors of listeners from a real timer, outside
 * of virtual time. Here such an error is thrown by a task of the tab, so it reaches whatever catches the errors of the tab's tasks.
 */
import type { EventLoop } from "./event-loop.ts";

type Listener = EventListenerOrEventListenerObject;

/** What a listener gets. Other fields of the event are added by the class that fires it. */
export interface Fired {
  readonly type: string;
}

interface Registered {
  listener: Listener;
  readonly isOnce: boolean;
  readonly signal: AbortSignal | undefined;
  /** A listener that was removed during a dispatch is not called any more. */
  isRemoved: boolean;
}

export class Target {
  readonly #loop: EventLoop;
  readonly #registered = new Map<string, Registered[]>();
  readonly #handlers = new Map<string, Registered>();

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  addEventListener(type: string, listener: Listener | null, options: boolean | AddEventListenerOptions = {}): void {
    const { once = false, signal } = typeof options === "boolean" ? {} : options;
    if (listener === null || signal?.aborted) return;
    const registered = this.#live(type);
    if (registered.some((each) => each.listener === listener)) return;
    this.#registered.set(type, [...registered, { listener, isOnce: once, signal, isRemoved: false }]);
  }

  removeEventListener(type: string, listener: Listener | null): void {
    const found = this.#registered.get(type)?.find((each) => each.listener === listener);
    if (found !== undefined) this.#remove(type, found);
  }

  dispatchEvent(event: Event): boolean {
    this.fire(event);
    return true;
  }

  /** Calls the listeners now. */
  protected fire(event: Fired): void {
    for (const each of this.#live(event.type)) {
      if (each.isRemoved || each.signal?.aborted) continue;
      if (each.isOnce) this.#remove(event.type, each);
      call(each.listener, this, event, this.#loop);
    }
  }

  /** The value of an attribute such as `onmessage`. */
  protected handler(type: string): Listener | null {
    return this.#handlers.get(type)?.listener ?? null;
  }

  /** An attribute such as `onmessage` keeps its place among the listeners when its value is replaced. */
  protected setHandler(type: string, listener: unknown): void {
    const known = this.#handlers.get(type);
    if (typeof listener !== "function") {
      this.#handlers.delete(type);
      if (known !== undefined) this.#remove(type, known);
      return;
    }
    const handler = (event: Event) => listener.call(this, event);
    if (known !== undefined) {
      known.listener = handler;
      return;
    }
    const added = { listener: handler, isOnce: false, signal: undefined, isRemoved: false };
    this.#handlers.set(type, added);
    this.#registered.set(type, [...this.#live(type), added]);
  }

  /** Without the listeners whose signal was aborted. A list is never changed in place, because a dispatch may be reading it. */
  #live(type: string): Registered[] {
    const all = this.#registered.get(type) ?? [];
    if (!all.some(({ signal }) => signal?.aborted)) return all;
    const live = all.filter(({ signal }) => !signal?.aborted);
    this.#registered.set(type, live);
    return live;
  }

  #remove(type: string, removed: Registered): void {
    removed.isRemoved = true;
    const others = (this.#registered.get(type) ?? []).filter((each) => each !== removed);
    this.#registered.set(type, others);
  }
}

function call(listener: Listener, target: Target, event: Fired, loop: EventLoop): void {
  try {
    // The stand-ins' events have the fields that the product reads, and no others.
    const given = event as Event;
    if (typeof listener === "function") listener.call(target, given);
    else listener.handleEvent(given);
  } catch (error) {
    throwInTask(loop, error);
  }
}

/** Throws an error that nobody catches, as a task of the tab. */
export function throwInTask(loop: EventLoop, error: unknown): void {
  loop.post(0, () => {
    throw error;
  });
}
