/**
 * `AbortController` and `AbortSignal` of a tab. Node keeps a signal in a list while a listener is bound to another signal: the listeners of a tab
 * that died would keep its whole world.
 *
 * Faults: none. Whoever listens is called by the abort itself, with nothing in between.
 */
import type { EventLoop } from "./event-loop.ts";
import { Target } from "./event-target.ts";

export interface Aborts {
  readonly AbortController: new () => { readonly signal: Signal; abort(reason?: unknown): void };
  readonly AbortSignal: Pick<typeof Signal, "any" | "prototype">;
}

/** As the code of one tab has them. Errors of its listeners are thrown in a task of the tab. */
export function abortsOf(loop: EventLoop): Aborts {
  class TabController {
    readonly signal = new Signal(loop);

    abort(reason?: unknown): void {
      this.signal.abort(reason);
    }
  }
  return { AbortController: TabController, AbortSignal: Signal };
}

class Signal extends Target {
  readonly loop: EventLoop;
  aborted = false;
  reason: unknown;

  constructor(loop: EventLoop) {
    super(loop);
    this.loop = loop;
  }

  static any(signals: readonly Signal[]): Signal {
    const [first] = signals;
    if (first === undefined) throw new TypeError("The stand-in has no signal that nothing aborts.");
    const any = new Signal(first.loop);
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted !== undefined) any.abort(aborted.reason);
    else for (const signal of signals) signal.addEventListener("abort", () => any.abort(signal.reason));
    return any;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  abort(reason: unknown = new DOMException("This operation was aborted", "AbortError")): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.fire({ type: "abort" });
  }
}
