/**
 * The one alarm of a Durable Object, as the platform runs it. It is set together with what is written in the same turn, it is run again if
 * it was killed, it is given up after some tries, and there are never two runs at once. An alarm that is set during a run, or while a retry
 * is due, replaces the retries that are left.
 */
import type { ObjectHost } from "./edge-objects.ts";
import type { Ground } from "./ground.ts";

/** The platform runs an alarm that failed so many times more. */
export const ALARM_TRIES = 6;

/** Milliseconds until an alarm that failed is run again. */
export function alarmAgain(tries: number): number {
  return 2000 * 2 ** (ALARM_TRIES - tries);
}

export interface AlarmParts<I> {
  readonly ground: Ground;
  readonly host: () => ObjectHost<I>;
  readonly run: (instance: I, isRetry: boolean, done: () => void) => void;
}

export class ObjectAlarm<I> {
  /** The platform has given one up, or forgotten it. */
  wasLost = false;
  readonly #parts: AlarmParts<I>;
  #set: { readonly at: number } | null = null;
  #isRunning = false;

  constructor(parts: AlarmParts<I>) {
    this.#parts = parts;
  }

  get isSet(): boolean {
    return this.#set !== null;
  }

  /** Unless it goes off by then anyway. */
  arm(at: number): void {
    if (this.#set !== null && this.#set.at <= at) return;
    const { scheduler, random, faults } = this.#parts.ground;
    const alarm = { at };
    this.#set = alarm;
    const late = faults.strikes("late-alarm") ? random.between(1, 60_000) : 0;
    scheduler.after(at - scheduler.now + late, () => {
      if (this.#set === alarm) this.#goOff();
    });
  }

  clear(): void {
    this.#set = null;
  }

  #goOff(): void {
    // It goes off when the run under way has ended.
    if (this.#isRunning) return;
    this.#set = null;
    const { faults } = this.#parts.ground;
    if (faults.strikes("lost-alarm")) {
      this.wasLost = true;
      return;
    }
    this.#run(ALARM_TRIES, false, faults.strikes("double-alarm"));
  }

  #run(tries: number, isAgain: boolean, isDouble = false): void {
    const { ground, host, run } = this.#parts;
    this.#isRunning = true;
    let isRetry = isAgain;
    host().call<null>(
      (instance, reply) => {
        const wasBegun = isRetry;
        isRetry = true;
        run(instance, wasBegun, () => reply({ value: null }));
      },
      (answer) => {
        this.#isRunning = false;
        if (this.#set !== null && this.#set.at <= ground.scheduler.now) return this.#goOff();
        if ("value" in answer) {
          if (isDouble && this.#set === null) this.#run(0, false);
          return;
        }
        if (tries === 0) this.wasLost = true;
        else if (this.#set === null) ground.scheduler.after(alarmAgain(tries), () => this.#again(tries - 1, isRetry));
      },
    );
  }

  #again(tries: number, isRetry: boolean): void {
    if (this.#set === null && !this.#isRunning) this.#run(tries, isRetry);
  }
}
