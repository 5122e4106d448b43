/**
 * What a subscription's object has stored, in its key-value store.
 *
 *     facts               where it stands: one row written for each step
 *     aside/<position>    an event that was set aside
 *     due/<position>      that it is to be tried again, or is with the handler
 */
import { afterReplay, type Standing } from "../../shared/edge/subscription.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";

export interface Facts extends Standing {
  /** The object's name in two parts: an alarm may not know it otherwise. */
  readonly store: string;
  readonly name: string;
  /** Events in the list. */
  readonly setAside: number;
}

export interface SetAside {
  readonly id: string;
  readonly streamId: string;
  readonly version: number;
  readonly position: number;
  readonly type: string;
  readonly error: string;
  /** When it was last refused, ISO 8601 UTC. */
  readonly at: string;
}

const FACTS = "facts";
const ASIDE = "aside/";
const DUE = "due/";
/** What stands there; `true` in both cases until there were these two. */
type Due = true | "handed-over";

export class SubscriptionFacts {
  readonly #storage: DurableObjectStorage;
  #facts: Facts | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#facts = storage.kv.get<Facts>(FACTS);
  }

  /** Another object after each write; undefined before the first. */
  get now(): Facts | undefined {
    return this.#facts;
  }

  write(facts: Facts): void {
    this.#storage.kv.put(FACTS, facts);
    this.#facts = facts;
  }

  /** With the facts behind it, in one transaction. */
  setAside(event: SetAside, facts: Facts): void {
    this.#transaction(() => {
      const isNew = this.#storage.kv.get(keyOf(ASIDE, event.position)) === undefined;
      this.#storage.kv.put(keyOf(ASIDE, event.position), event);
      this.write({ ...facts, setAside: facts.setAside + (isNew ? 1 : 0) });
    });
  }

  /** One that was tried again: out of the list where it was handled, else with why not. */
  tried(event: SetAside, error: string | null, at: string): void {
    this.#transaction(() => {
      this.#storage.kv.delete(keyOf(DUE, event.position));
      const listed = afterReplay(event, error, at);
      if (listed !== null) return this.#storage.kv.put(keyOf(ASIDE, event.position), listed);
      if (!this.#storage.kv.delete(keyOf(ASIDE, event.position)) || this.#facts === undefined) return;
      this.write({ ...this.#facts, setAside: this.#facts.setAside - 1 });
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
  due(): { readonly event: SetAside; readonly wasHanded: boolean } | undefined {
    for (const [key, due] of this.#storage.kv.list<Due>({ prefix: DUE })) {
      const event = this.#storage.kv.get<SetAside>(`${ASIDE}${key.slice(DUE.length)}`);
      if (event !== undefined) return { event, wasHanded: due === "handed-over" };
      this.#storage.kv.delete(key);
    }
    return undefined;
  }

  /** The handler is given one again. */
  handing({ position }: SetAside): void {
    this.#storage.kv.put<Due>(keyOf(DUE, position), "handed-over");
  }

  /** Whether the handler was given one again, and has not answered. */
  isReplaying(): boolean {
    return [...this.#storage.kv.list<Due>({ prefix: DUE })].some(([, due]) => due === "handed-over");
  }

  /** In the order of their positions, behind one. */
  list(after: number, limit: number): SetAside[] {
    return [...this.#storage.kv.list<SetAside>({ start: keyOf(ASIDE, after + 1), end: `${ASIDE}~`, limit })].map(([, event]) => event);
  }

  /** Puts it back to where the facts say; what is set aside behind `after` will come again, and leaves the list. */
  reset(facts: Facts, after: number): void {
    this.#transaction(() => {
      let setAside = 0;
      for (const event of [...this.#all()]) {
        if (event.position <= after) setAside++;
        else for (const prefix of [ASIDE, DUE]) this.#storage.kv.delete(keyOf(prefix, event.position));
      }
      this.write({ ...facts, setAside });
    });
  }

  *#all(): Generator<SetAside> {
    for (const [, event] of this.#storage.kv.list<SetAside>({ prefix: ASIDE })) yield event;
  }

  #transaction(work: () => void): void {
    const before = this.#facts;
    try {
      this.#storage.transactionSync(work);
    } catch (error) {
      this.#facts = before;
      throw error;
    }
  }
}

function keyOf(prefix: string, position: number): string {
  return prefix + ordinalKey(position);
}
