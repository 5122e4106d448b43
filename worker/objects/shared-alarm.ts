/**
 * An object's one alarm, for all within it that want to be woken: it goes off at the earliest of their times, and whoever wanted a later
 * one asks again then. When it goes off is kept in memory, so that asking for a time that is covered writes nothing, and that one that
 * is not is set in the same turn, and so in the same transaction, as what it is set for.
 */
import { logFault } from "../report/journal.ts";

export class SharedAlarm {
  readonly #storage: DurableObjectStorage;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** To be awaited before anything else happens in the object. */
  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
  }

  /** Milliseconds since 1970; null where none is set. */
  get at(): number | null {
    return this.#at;
  }

  /** Sets it, in this turn, unless it goes off by then anyway. */
  arm(at: number): void {
    if (this.#at !== null && this.#at <= at) return;
    this.#at = at;
    this.#storage.setAlarm(at).catch((error: unknown) => {
      // What was written in the same turn fails with it, and the runtime resets the object.
      this.#at = null;
      logFault("alarm", error);
    });
  }

  /** To be called first by the handler. */
  wentOff(): void {
    this.#at = null;
  }
}
