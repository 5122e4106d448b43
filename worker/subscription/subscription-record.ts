/**
 * What the object of a subscription stores, by key. Each key is a row.
 *
 *     facts               the record of the subscription, written once for each step
 *     aside/<position>    a dead letter
 *     due/<position>      the dead letter is to be replayed, or was handed to the handler for a replay
 */
import { afterReplay, type EdgeSubscription } from "../../shared/edge/subscription.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { DeadLetter } from "../../shared/subscription.ts";
import { eraseStorage } from "../objects/erase.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";

export interface SubscriptionRecord extends EdgeSubscription {
  /** The object's name in two parts: an alarm may have no other way to know it. */
  readonly store: string;
  readonly name: string;
  /** How many dead letters are stored. */
  readonly deadLetters: number;
}

const RECORD = "facts";
const DEAD_LETTERS = "aside/";
const DUE = "due/";
/** `true`: to be replayed. `handed-over`: with the handler. Earlier versions store `true` in both cases. */
type Due = true | "handed-over";

/** In records of earlier versions the count of dead letters is `setAside`. */
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

  /** The record: a new object after each write; undefined before the first write. */
  get now(): SubscriptionRecord | undefined {
    return this.#record;
  }

  write(record: SubscriptionRecord): void {
    this.#storage.kv.put(RECORD, record);
    this.#record = record;
  }

  /** Deletes everything. Work under way notices that the record is no longer its own. */
  async erase(alarm: SharedAlarm): Promise<void> {
    this.#record = undefined;
    alarm.wentOff();
    await eraseStorage(this.#storage);
  }

  /** Resolves when the record is on the disk. */
  async writeThrough(record: SubscriptionRecord): Promise<void> {
    this.write(record);
    await this.#storage.sync();
  }

  /** Stores a dead letter and the record after it in one transaction. */
  addDeadLetter(event: DeadLetter, record: SubscriptionRecord): void {
    this.#transaction(() => {
      const isNew = this.#storage.kv.get(keyOf(DEAD_LETTERS, event.position)) === undefined;
      this.#storage.kv.put(keyOf(DEAD_LETTERS, event.position), event);
      this.write({ ...record, deadLetters: record.deadLetters + (isNew ? 1 : 0) });
    });
  }

  /**
   * Stores the result of a replay. If the event was handled, it is no longer a dead letter. Otherwise it has the new reason.
   *
   * @param error why the handler failed on it; null if it handled it
   * @param at ISO 8601 UTC
   */
  recordReplay(event: DeadLetter, error: string | null, at: string): void {
    this.#transaction(() => {
      this.#storage.kv.delete(keyOf(DUE, event.position));
      const listed = afterReplay(event, error, at);
      if (listed !== null) return this.#storage.kv.put(keyOf(DEAD_LETTERS, event.position), listed);
      if (!this.#storage.kv.delete(keyOf(DEAD_LETTERS, event.position)) || this.#record === undefined) return;
      this.write({ ...this.#record, deadLetters: this.#record.deadLetters - 1 });
    });
  }

  /** Marks the dead letter at a position, or all, to be replayed. @returns how many there are */
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

  /** The first dead letter that is to be replayed, and whether it was handed to the handler before and the handler did not finish. */
  due(): { readonly event: DeadLetter; readonly wasHanded: boolean } | undefined {
    for (const [key, due] of this.#storage.kv.list<Due>({ prefix: DUE })) {
      const event = this.#storage.kv.get<DeadLetter>(`${DEAD_LETTERS}${key.slice(DUE.length)}`);
      if (event !== undefined) return { event, wasHanded: due === "handed-over" };
      this.#storage.kv.delete(key);
    }
    return undefined;
  }

  /**
   * To be called before a dead letter is handed to the handler. Resolves when the mark is on the disk: an event that kills its object at once
   * would take a mark with it that is not, and would kill it at each replay.
   */
  async markHandedOver({ position }: DeadLetter): Promise<void> {
    this.#storage.kv.put<Due>(keyOf(DUE, position), "handed-over");
    await this.#storage.sync();
  }

  /** Whether a dead letter was handed to the handler, and the handler has not finished. */
  isReplaying(): boolean {
    return [...this.#storage.kv.list<Due>({ prefix: DUE })].some(([, due]) => due === "handed-over");
  }

  /** Dead letters after a position, in the order of their positions. */
  list(after: number, limit: number): DeadLetter[] {
    return [...this.#storage.kv.list<DeadLetter>({ start: keyOf(DEAD_LETTERS, after + 1), end: `${DEAD_LETTERS}~`, limit })].map(
      ([, event]) => event,
    );
  }

  /** Stores the record of a reset. Dead letters after the position `after` are deleted, because the subscription delivers them again. */
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

/** @param at in milliseconds since 1970 */
export function toDeadLetter({ id, streamId, version, position, type }: ConfirmedEvent, error: string, at: number): DeadLetter {
  return { id, streamId, version, position, type, error, at: new Date(at).toISOString() };
}
