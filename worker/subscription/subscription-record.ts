/**
 * What a subscription's object has stored, in its key-value store.
 *
 *     facts               where it stands: one row written for each step
 *     aside/<position>    an event that was set aside
 *     due/<position>      that it is to be tried again, or is with the handler
 */
import { afterReplay, type EdgeSubscription } from "../../shared/edge/subscription.ts";
import type { DeadLetter } from "../../shared/subscription.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";

export interface SubscriptionRecord extends EdgeSubscription {
  /** The object's name in two parts: an alarm may not know it otherwise. */
  readonly store: string;
  readonly name: string;
  /** Events in the list. */
  readonly deadLetters: number;
}

const RECORD = "facts";
const DEAD_LETTERS = "aside/";
const DUE = "due/";
/** What stands there; `true` in both cases until there were these two. */
type Due = true | "handed-over";

/** Versions before called the count of dead letters `setAside`. */
function recordOf(stored: SubscriptionRecord | undefined): SubscriptionRecord | undefined {
  if (stored === undefined || !("setAside" in stored)) return stored;
  const { setAside, ...record } = stored as SubscriptionRecord & { readonly setAside: number };
  return { ...record, deadLetters: setAside };
}

export class SubscriptionStorage {
  readonly #storage: DurableObjectStorage;
  #record: SubscriptionRecord | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#record = recordOf(storage.kv.get<SubscriptionRecord>(RECORD));
  }

  /** Another object after each write; undefined before the first. */
  get now(): SubscriptionRecord | undefined {
    return this.#record;
  }

  write(record: SubscriptionRecord): void {
    this.#storage.kv.put(RECORD, record);
    this.#record = record;
  }

  /** With the facts behind it, in one transaction. */
  addDeadLetter(event: DeadLetter, record: SubscriptionRecord): void {
    this.#transaction(() => {
      const isNew = this.#storage.kv.get(keyOf(DEAD_LETTERS, event.position)) === undefined;
      this.#storage.kv.put(keyOf(DEAD_LETTERS, event.position), event);
      this.write({ ...record, deadLetters: record.deadLetters + (isNew ? 1 : 0) });
    });
  }

  /** One that was tried again: out of the list where it was handled, else with why not. */
  tried(event: DeadLetter, error: string | null, at: string): void {
    this.#transaction(() => {
      this.#storage.kv.delete(keyOf(DUE, event.position));
      const listed = afterReplay(event, error, at);
      if (listed !== null) return this.#storage.kv.put(keyOf(DEAD_LETTERS, event.position), listed);
      if (!this.#storage.kv.delete(keyOf(DEAD_LETTERS, event.position)) || this.#record === undefined) return;
      this.write({ ...this.#record, deadLetters: this.#record.deadLetters - 1 });
    });
  }

  /** Marks one that stands in the list, or all, to be tried again. @returns how many */
  replay(position?: number): number {
    const wanted = position === undefined ? [...this.#all()] : this.list(position - 1, 1).filter((event) => event.position === position);
    this.#transaction(() => {
      for (const { position } of wanted) {
        const key = keyOf(DUE, position);
        // One that the handler has stays marked as that.
        if (this.#storage.kv.get<Due>(key) === undefined) this.#storage.kv.put<Due>(key, true);
      }
    });
    return wanted.length;
  }

  /** The first that is to be tried again, and whether the handler was given it before and never answered. */
  due(): { readonly event: DeadLetter; readonly wasHanded: boolean } | undefined {
    for (const [key, due] of this.#storage.kv.list<Due>({ prefix: DUE })) {
      const event = this.#storage.kv.get<DeadLetter>(`${DEAD_LETTERS}${key.slice(DUE.length)}`);
      if (event !== undefined) return { event, wasHanded: due === "handed-over" };
      this.#storage.kv.delete(key);
    }
    return undefined;
  }

  /** The handler is given one again. */
  handing({ position }: DeadLetter): void {
    this.#storage.kv.put<Due>(keyOf(DUE, position), "handed-over");
  }

  /** Whether the handler was given one again, and has not answered. */
  isReplaying(): boolean {
    return [...this.#storage.kv.list<Due>({ prefix: DUE })].some(([, due]) => due === "handed-over");
  }

  /** In the order of their positions, behind one. */
  list(after: number, limit: number): DeadLetter[] {
    return [...this.#storage.kv.list<DeadLetter>({ start: keyOf(DEAD_LETTERS, after + 1), end: `${DEAD_LETTERS}~`, limit })].map(
      ([, event]) => event,
    );
  }

  /** Puts it back to where the facts say; what is set aside behind `after` will come again, and leaves the list. */
  reset(record: SubscriptionRecord, after: number): void {
    this.#transaction(() => {
      let deadLetters = 0;
      for (const event of [...this.#all()]) {
        if (event.position <= after) deadLetters++;
        else for (const prefix of [DEAD_LETTERS, DUE]) this.#storage.kv.delete(keyOf(prefix, event.position));
      }
      this.write({ ...record, deadLetters });
    });
  }

  *#all(): Generator<DeadLetter> {
    for (const [, event] of this.#storage.kv.list<DeadLetter>({ prefix: DEAD_LETTERS })) yield event;
  }

  #transaction(work: () => void): void {
    const before = this.#record;
    try {
      this.#storage.transactionSync(work);
    } catch (error) {
      this.#record = before;
      throw error;
    }
  }
}

function keyOf(prefix: string, position: number): string {
  return prefix + ordinalKey(position);
}
