/**
 * The clock and the timers of one tab.
 *
 * Faults:
 * - The clock of a device is wrong, jumps or stands still: `dateOf` takes whatever the world's clock returns.
 * - Timers of a frozen tab are late. The tab's event loop does that. An interval fires once when the tab thaws.
 * - The browser is never idle, so idle work waits for its timeout: `idle`. `date.test.ts` and `product.test.ts` use it. Worlds don't: their
 *   browsers have no `requestIdleCallback`.
 *
 * Left out: timers of a hidden tab that a browser fires once a minute. For the product they are late timers, as in a frozen tab.
 * `performance.now()` never runs backwards and does not follow the device's clock.
 */
import type { EventLoop } from "./event-loop.ts";
import { throwInTask } from "./event-target.ts";

/** A `Date` whose present comes from a clock, in milliseconds since 1970. Every other way to make one is the platform's. */
export function dateOf(clock: () => number): DateConstructor {
  function virtualDate(...parts: unknown[]): string | Date {
    if (new.target === undefined) return new Date(clock()).toString();
    return Reflect.construct(Date, parts.length === 0 ? [clock()] : parts, new.target);
  }
  Object.setPrototypeOf(virtualDate, Date);
  virtualDate.prototype = Object.create(Date.prototype, { constructor: { value: virtualDate, writable: true, configurable: true } });
  Object.defineProperties(virtualDate, {
    name: { value: "Date" },
    length: { value: 7 },
    now: { value: () => Math.trunc(clock()), writable: true, configurable: true },
    // A date that came from elsewhere, e.g. from a database, is one as well. A subclass tests its own instances as usual.
    [Symbol.hasInstance]: {
      value(this: unknown, value: unknown) {
        return this === virtualDate ? value instanceof Date : Function.prototype[Symbol.hasInstance].call(this as () => void, value);
      },
    },
  });
  return virtualDate as unknown as DateConstructor;
}

type Callback = (...given: unknown[]) => unknown;

/** What timers look like in a browser: the ids are numbers. */
export interface Timers {
  setTimeout(callback: Callback, milliseconds?: number, ...given: unknown[]): number;
  clearTimeout(id: number | undefined): void;
  setInterval(callback: Callback, milliseconds?: number, ...given: unknown[]): number;
  clearInterval(id: number | undefined): void;
  queueMicrotask(callback: () => void): void;
  readonly requestIdleCallback: ((callback: IdleRequestCallback, options?: IdleRequestOptions) => number) | undefined;
  readonly cancelIdleCallback: ((id: number) => void) | undefined;
  readonly performance: { readonly timeOrigin: number; now(): number };
}

export interface TimersOptions {
  /** Milliseconds until the tab is idle. Without it the browser has no `requestIdleCallback`. */
  readonly idle?: () => number;
}

interface Timer {
  readonly run: () => void;
  /** Milliseconds of an interval. */
  readonly every: number | undefined;
  /** How many timers deep it was set by other timers. */
  readonly depth: number;
}

/** Timers that are set by timers, deeper than this, wait at least so long, as in a browser. */
const CLAMPED = { depth: 5, milliseconds: 4 };
/** Milliseconds of an idle period at most. */
const IDLE = 50;

const RESOLVED = Promise.resolve();

export function timersOf(loop: EventLoop, { idle }: TimersOptions = {}): Timers {
  const timers = new TabTimers(loop);
  const start = loop.now;
  const clear = (id: number | undefined) => timers.clear(id);
  return {
    setTimeout: (callback, milliseconds, ...given) => timers.set(() => callback(...given), milliseconds, false),
    clearTimeout: clear,
    setInterval: (callback, milliseconds, ...given) => timers.set(() => callback(...given), milliseconds, true),
    clearInterval: clear,
    queueMicrotask: (callback) => {
      void RESOLVED.then(() => {
        try {
          callback();
        } catch (error) {
          throwInTask(loop, error);
        }
      });
    },
    requestIdleCallback: idle && ((callback, options) => timers.setIdle(callback, idle(), options?.timeout)),
    cancelIdleCallback: idle && clear,
    performance: { timeOrigin: start, now: () => loop.now - start },
  };
}

class TabTimers {
  readonly #loop: EventLoop;
  readonly #set = new Map<number, Timer>();
  #lastId = 0;
  /** The depth of the timer that runs now. */
  #depth = 0;

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  set(run: () => void, milliseconds = 0, isInterval: boolean): number {
    const wait = toLong(milliseconds);
    return this.#add({ run, every: isInterval ? wait : undefined, depth: this.#depth + 1 }, wait);
  }

  setIdle(callback: IdleRequestCallback, wait: number, timeout = 0): number {
    const didTimeout = timeout > 0 && timeout < wait;
    const deadline = { didTimeout, timeRemaining: () => (didTimeout ? 0 : IDLE) };
    return this.#add({ run: () => callback(deadline), every: undefined, depth: 0 }, didTimeout ? timeout : wait);
  }

  /** The posted task stays, and finds nothing to do. */
  clear(id: number | undefined): void {
    if (id !== undefined) this.#set.delete(id);
  }

  #add(timer: Timer, wait: number): number {
    const id = ++this.#lastId;
    this.#set.set(id, timer);
    this.#post(id, timer, wait);
    return id;
  }

  #post(id: number, { depth }: Timer, wait: number): void {
    this.#loop.post(depth > CLAMPED.depth ? Math.max(wait, CLAMPED.milliseconds) : wait, () => this.#fire(id));
  }

  #fire(id: number): void {
    const timer = this.#set.get(id);
    if (timer === undefined) return;
    if (timer.every === undefined) this.#set.delete(id);
    this.#depth = timer.depth;
    try {
      timer.run();
    } finally {
      this.#depth = 0;
      if (timer.every !== undefined && this.#set.has(id)) this.#repeat(id, timer, timer.every);
    }
  }

  /** Posted after each run: a tab that was frozen for many periods runs it once. */
  #repeat(id: number, { run, every, depth }: Timer, wait: number): void {
    const next = { run, every, depth: depth + 1 };
    this.#set.set(id, next);
    this.#post(id, next, wait);
  }
}

/** As Web IDL converts a number to a `long`: what is too large wraps around. A negative wait is none. */
function toLong(milliseconds: number): number {
  return Math.max(0, milliseconds | 0);
}
