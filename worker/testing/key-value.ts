/** An object's key-value store. Values are copied on their way in and out, so a stored value never changes. */
import { copyOf, serializedSize } from "./copy.ts";

export interface ListOptions {
  readonly start?: string;
  readonly startAfter?: string;
  readonly end?: string;
  readonly prefix?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** Bytes: https://developers.cloudflare.com/durable-objects/platform/limits/ */
const LARGEST_VALUE = 2 * 1024 * 1024;

export type Stored = ReadonlyMap<string, unknown>;

export class KeyValue {
  readonly #values: Map<string, unknown>;
  /** In order. */
  readonly #keys: string[];
  /** Changes with each change of the keys. */
  #changed = 0;

  constructor(values: Stored = new Map()) {
    this.#values = new Map(values);
    this.#keys = [...values.keys()].sort();
  }

  get size(): number {
    return this.#values.size;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  get(key: string): unknown {
    return copyOf(this.#values.get(key));
  }

  /** The value itself, for an undo. */
  stored(key: string): unknown {
    return this.#values.get(key);
  }

  /** A copy that may be stored. @throws Error if it is too large; DOMException if it can't be cloned */
  static storable(key: string, value: unknown): unknown {
    if (value === undefined) throw new TypeError(`The value of the key "${key}" is undefined.`);
    const copy = copyOf(value, { plainClasses: true });
    if (serializedSize(copy) > LARGEST_VALUE)
      throw new Error(`The value of the key "${key}" is too large: string or blob too big: SQLITE_TOOBIG`);
    return copy;
  }

  put(key: string, value: unknown): void {
    if (!this.#values.has(key)) {
      this.#keys.splice(this.#placeOf(key), 0, key);
      this.#changed++;
    }
    this.#values.set(key, value);
  }

  delete(key: string): boolean {
    if (!this.#values.delete(key)) return false;
    this.#keys.splice(this.#placeOf(key), 1);
    this.#changed++;
    return true;
  }

  /** Each entry is read when it is its turn. Keys may be added and deleted meanwhile. */
  *list({
    start = "",
    startAfter,
    end,
    prefix = "",
    reverse = false,
    limit = Number.POSITIVE_INFINITY,
  }: ListOptions = {}): Generator<[string, unknown]> {
    const from = startAfter === undefined || startAfter < start ? start : `${startAfter}\u0000`;
    const lowest = from < prefix ? prefix : from;
    const isIn = (key: string) => key >= lowest && (end === undefined || key < end) && key.startsWith(prefix);
    const beginning = () =>
      reverse ? this.#placeOf(end ?? afterAll(prefix), prefix === "" && end === undefined) - 1 : this.#placeOf(lowest);
    let at = beginning();
    let changed = this.#changed;
    for (let left = limit; left > 0; left--) {
      let key = this.#keys[at];
      // With an end behind the prefix, the first keys are not of the prefix.
      while (reverse && key !== undefined && !key.startsWith(prefix) && key > prefix) key = this.#keys[--at];
      if (key === undefined || !isIn(key)) return;
      yield [key, this.get(key)];
      if (changed !== this.#changed) {
        changed = this.#changed;
        at = this.#placeOf(key);
        if (reverse) at--;
        else if (this.#keys[at] === key) at++;
      } else at += reverse ? -1 : 1;
    }
  }

  snapshot(): Map<string, unknown> {
    return new Map(this.#values);
  }

  /** The index of the key, or of the first one after it. */
  #placeOf(key: string, isBehindAll = false): number {
    if (isBehindAll) return this.#keys.length;
    const last = this.#keys.length - 1;
    if (last < 0 || (this.#keys[last] ?? "") < key) return last + 1;
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A text that comes after all texts with the prefix. */
function afterAll(prefix: string): string {
  return `${prefix}\uffff\uffff`;
}
