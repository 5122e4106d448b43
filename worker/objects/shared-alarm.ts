/**
 * An object's one alarm, shared by all parts of the object that need to wake. It goes off at the earliest of their times, and a part that
 * needs a later time arms it again then. Memory has the time at which it goes off. So arming it for a later time writes nothing; for an
 * earlier time it is set in the same turn, and so in the same transaction, as the writes that it is for.
 */
import { logFault } from "../report/journal.ts";
import { isLostAlarm } from "./alarm-delay.ts";

export class SharedAlarm {
  readonly #storage: DurableObjectStorage;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** To be awaited before anything else happens in the object. @param now in milliseconds since 1970 */
  async load(now: number): Promise<void> {
    const at = await this.#storage.getAlarm();
    this.#at = at === null || isLostAlarm(at, now) ? null : at;
  }

  /** Milliseconds since 1970; null if none is set. */
  get at(): number | null {
    return this.#at;
  }

  /** Sets the alarm in this turn, unless it goes off by then anyway. */
  arm(at: number): void {
    if (this.#at !== null && this.#at <= at) return;
    this.#at = at;
    this.#storage.setAlarm(at).catch((error: unknown) => {
      // The writes of the same turn fail with it, and the runtime resets the object.
      this.#at = null;
      logFault("alarm", error);
    });
  }

  /** To be called first by the alarm's handler. */
  wentOff(): void {
    this.#at = null;
  }
}
