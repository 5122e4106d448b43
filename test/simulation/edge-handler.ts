/**
 * The app's handler of a store's subscription at the edge: it is slow, fails on some events, is killed by others, and is down for a while.
 */
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { Ground } from "./ground.ts";

/** Milliseconds after which a handler is taken to have refused, as `worker/subscription/settings.ts` has it by default. */
const TIMEOUT = 120_000;

export interface Call {
  readonly end: "handled" | "refused" | "killed";
  /** Milliseconds. */
  readonly takes: number;
}

export class Handler {
  readonly #ground: Ground;
  /** How often each event was refused, or has killed. */
  readonly #failures = new Map<string, number>();
  #downUntil = 0;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  call(events: readonly ConfirmedEvent[]): Call {
    const { random, faults, scheduler, params } = this.#ground;
    const takes = random.chance(0.9) ? random.between(1, 40) : random.spread(40, random.chance(0.2) ? 2 * TIMEOUT : 10_000);
    if (faults.isOver) return { end: "handled", takes: random.between(1, 40) };
    if (random.chance(0.02)) this.#downUntil = scheduler.now + random.spread(1000, params.minutes * 10_000);
    if (faults.strikes("crash-object")) return { end: "killed", takes };
    if (takes >= TIMEOUT) return { end: "refused", takes: TIMEOUT };
    if (scheduler.now < this.#downUntil) return { end: "refused", takes };
    for (const { id } of events) {
      const { end, times } = troubleOf(id);
      const before = this.#failures.get(id) ?? 0;
      if (before >= times) continue;
      this.#failures.set(id, before + 1);
      return { end, takes };
    }
    return { end: "handled", takes };
  }
}

/** Some events are refused a few times, or kill as often, and a few are refused until everything is well again. */
function troubleOf(id: string): { readonly end: Call["end"]; readonly times: number } {
  let bits = 11;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const part = bits % 50;
  if (part === 0) return { end: "refused", times: Number.POSITIVE_INFINITY };
  if (part === 1) return { end: "killed", times: 6 };
  return part <= 5 ? { end: "refused", times: 2 * part } : { end: "handled", times: 0 };
}
