/**
 * The app's handler of a store's subscription at the edge: it is slow, fails on some events, is killed by others, and is down for a while. If
 * the edge guards the shelf, it gives a command for some of the events there, whatever becomes of the call.
 */
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { Ground } from "./ground.ts";
import { keyOf } from "./identity.ts";
import { type AppVersion, commandFor, SHELF, type StockDecider } from "./models/stock.ts";
import type { Worker } from "./platform/bundle.ts";
import type { EventLoop } from "./platform/event-loop.ts";

/**
 * Milliseconds after which a handler counts as failed, by default: `TIMEOUT` of `worker/subscription/settings.ts`. That file can't be
 * imported here, because it has types of workerd.
 */
const TIMEOUT = 120_000;

/** Of the keys of commands that handlers give. */
const GIVEN = "given for ";

interface Call {
  readonly end: "handled" | "failed" | "killed";
  /** Milliseconds. */
  readonly takes: number;
}

interface Context {
  readonly store: string;
  readonly isReplay: boolean;
  readonly signal: AbortSignal;
  handle(streamId: string, decider: StockDecider, command: object, options: { readonly causedBy: ConfirmedEvent }): Promise<unknown>;
}

/** The app's rules, as the Worker knows them. */
export interface HandlerRules {
  /** Undefined if the edge decides nothing. */
  readonly stock: StockDecider | undefined;
  readonly version: AppVersion;
}

export class Handler {
  readonly #ground: Ground;
  readonly #kill: (store: string) => void;
  /** How often each event has failed, or has killed. */
  readonly #failures = new Map<string, number>();
  /** The ids of all events that it was ever handed. */
  readonly #handed = new Set<string>();
  #downUntil = 0;
  #calls = 0;

  /** @param kill kills the object of a store's subscription */
  constructor(ground: Ground, kill: (store: string) => void) {
    this.#ground = ground;
    this.#kill = kill;
  }

  async handle(
    events: readonly ConfirmedEvent[],
    context: Context,
    loop: EventLoop,
    worker: Pick<Worker, "HandlerError" | "CommandRefusedError">,
    rules: HandlerRules,
  ): Promise<void> {
    const { store, isReplay, signal } = context;
    const { end, takes } = this.#call(events);
    this.#ground.count(`edge handler: ${end}`);
    const call = ++this.#calls;
    for (const { id } of events) this.#handed.add(id);
    this.#ground.observe({ kind: "edge-handed", store, call, handed: events, isReplay });
    const given = this.#giveCommands(events, context, worker, rules);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      loop.post(takes, resolve);
    });
    if (end === "killed" && !signal.aborted) {
      this.#kill(store);
      return new Promise(() => undefined);
    }
    const isHandled = (await given) && end === "handled" && !signal.aborted;
    this.#ground.observe({ kind: "edge-answered", store, call, isHandled });
    if (!isHandled) throw new worker.HandlerError("The handler fails on this event.");
  }

  wasHanded(id: string): boolean {
    return this.#handed.has(id);
  }

  /** Whether each of them was decided. */
  async #giveCommands(
    events: readonly ConfirmedEvent[],
    { store, handle }: Context,
    { CommandRefusedError }: Pick<Worker, "CommandRefusedError">,
    { stock, version }: HandlerRules,
  ): Promise<boolean> {
    if (stock === undefined) return true;
    let areDecided = true;
    for (const event of events) {
      const key = keyOfCommand(event);
      if (key === undefined) continue;
      const told = (outcome: "recorded" | "refused") => this.#ground.observe({ kind: "given", store, key, outcome });
      this.#ground.observe({ kind: "gives", store, key });
      const command = commandFor(version, { type: "Take", key, wanted: 1, orFewer: false });
      try {
        await handle(SHELF, stock, command, { causedBy: event });
        told("recorded");
      } catch (error) {
        if (error instanceof CommandRefusedError) told("refused");
        else areDecided = false;
      }
    }
    return areDecided;
  }

  #call(events: readonly ConfirmedEvent[]): Call {
    const { random, faults, scheduler, params } = this.#ground;
    const takes = random.chance(0.9) ? random.between(1, 40) : random.spread(40, random.chance(0.2) ? 2 * TIMEOUT : 10_000);
    if (faults.isOver) return { end: "handled", takes: random.between(1, 40) };
    if (random.chance(0.02)) this.#downUntil = scheduler.now + random.spread(1000, params.minutes * 10_000);
    if (random.chance(0.02) && params.faults["crash-object"] !== undefined) return { end: "killed", takes };
    if (takes >= TIMEOUT) return { end: "failed", takes };
    if (scheduler.now < this.#downUntil) return { end: "failed", takes };
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

/** The key of the command that an event of the shelf leads to, if it does: each second one of those that no handler has led to. */
function keyOfCommand(event: ConfirmedEvent): string | undefined {
  const key = keyOf(event);
  if (event.streamId !== SHELF || key.startsWith(GIVEN) || event.version % 2 === 0) return undefined;
  return `${GIVEN}${event.id}`;
}

/** It fails on some events a few times, is killed by others as often, and fails on a few until everything is well again. */
function troubleOf(id: string): { readonly end: Call["end"]; readonly times: number } {
  let bits = 11;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const part = bits % 50;
  if (part === 0) return { end: "failed", times: Number.POSITIVE_INFINITY };
  if (part === 1) return { end: "killed", times: 6 };
  return part <= 5 ? { end: "failed", times: 2 * part } : { end: "handled", times: 0 };
}
