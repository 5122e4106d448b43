/**
 * An object's one alarm. It goes off at least once: if its handler throws, it is run again after 2 seconds, then 4 and so on, six times at
 * most. If the object is killed in the handler, it is run again as well, however often. An alarm that the handler itself sets replaces the
 * retry.
 */
import type { Clock, PlatformFaults } from "./clock.ts";
import type { ObjectStorage } from "./storage.ts";

/** As the platform gives it to the handler. */
export interface AlarmInfo {
  readonly isRetry: boolean;
  readonly retryCount: number;
  readonly scheduledTime: number;
}

export interface AlarmHost {
  readonly clock: Clock;
  readonly faults: PlatformFaults;
  readonly storage: ObjectStorage;
  /** Runs the handler. Rejects if it throws; does not settle if the object is killed. */
  runAlarm(info: AlarmInfo): Promise<void>;
  onUncaught(error: unknown): void;
}

/** Milliseconds until the first retry. */
const FIRST_RETRY = 2_000;
const RETRIES = 6;

export class Alarm {
  readonly #host: AlarmHost;
  #cancel: (() => void) | undefined;
  #running: { readonly at: number; isSetAgain: boolean } | undefined;
  /** Runs of the same alarm before, and how many of them threw. */
  #runs = 0;
  #failures = 0;

  constructor(host: AlarmHost) {
    this.#host = host;
  }

  /** The time as the object sees it: null while the handler runs. */
  get at(): number | null {
    return this.#running?.isSetAgain === false ? null : this.#host.storage.alarm;
  }

  set(at: number | null): void {
    this.#host.storage.setAlarm(at);
    if (this.#running !== undefined) this.#running.isSetAgain = true;
  }

  /** Schedules the alarm that is stored. */
  schedule(): void {
    if (this.#running !== undefined) return;
    this.#runs = 0;
    this.#failures = 0;
    const at = this.#host.storage.alarm;
    const { clock, faults } = this.#host;
    this.#after(at === null ? null : Math.max(0, at - clock.now()) + (faults.alarmLatency?.() ?? 0));
  }

  /** The object was killed, and its storage is rolled back. */
  killed(): void {
    const running = this.#running;
    this.#running = undefined;
    const at = this.#host.storage.alarm;
    if (running === undefined) return;
    if (at === running.at) this.#after(FIRST_RETRY * 2 ** Math.min(this.#runs++, RETRIES));
    else this.schedule();
  }

  /** Nothing goes off any more. */
  cancel(): void {
    this.#after(null);
    this.#running = undefined;
  }

  #after(milliseconds: number | null): void {
    this.#cancel?.();
    this.#cancel = milliseconds === null ? undefined : this.#host.clock.after(milliseconds, () => this.#goOff());
  }

  #goOff(): void {
    this.#cancel = undefined;
    const { storage } = this.#host;
    const at = storage.alarm;
    if (at === null || this.#running !== undefined) return;
    const running = { at, isSetAgain: false };
    this.#running = running;
    const info = { isRetry: this.#runs > 0, retryCount: this.#runs, scheduledTime: at };
    this.#host.runAlarm(info).then(
      () => this.#onEnd(running, false),
      (error: unknown) => {
        if (this.#running === running) this.#host.onUncaught(error);
        this.#onEnd(running, true);
      },
    );
  }

  #onEnd(running: { readonly isSetAgain: boolean }, hasThrown: boolean): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    if (running.isSetAgain) return this.schedule();
    if (hasThrown && this.#failures++ < RETRIES) return this.#after(FIRST_RETRY * 2 ** this.#runs++);
    this.#host.storage.endAlarm();
    this.schedule();
  }
}
