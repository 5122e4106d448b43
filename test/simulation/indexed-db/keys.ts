/**
 * Keys, their order, and ranges of keys: https://w3c.github.io/IndexedDB/#key-construct. These are pure functions. No fault can strike here.
 */
import { failure, must } from "./failure.ts";

/** A key as it is stored. Nothing outside has a reference to one that can be changed. */
export type Key = number | string | Date | ArrayBuffer | readonly Key[];

/** @throws DataError if the value is no valid key */
export function toKey(value: unknown): Key {
  const key = keyOrNothing(value);
  if (key === undefined) throw failure("DataError", "The parameter is not a valid key.");
  return key;
}

/** The key that this value is; undefined if it is no valid key. */
export function keyOrNothing(value: unknown, within: readonly unknown[] = []): Key | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isNaN(value) ? undefined : value;
  if (Array.isArray(value)) return within.includes(value) ? undefined : arrayKey(value, [...within, value]);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : new Date(value.getTime());
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice().buffer;
  return undefined;
}

function arrayKey(items: readonly unknown[], within: readonly unknown[]): Key | undefined {
  const keys: Key[] = [];
  for (let i = 0; i < items.length; i++) {
    const key = keyOrNothing(items[i], within);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  return keys;
}

/** The key as the caller gets it: a copy, if it can be changed. */
export function fromKey(key: Key): unknown {
  if (typeof key === "string" || typeof key === "number") return key;
  if (key instanceof Date) return new Date(key.getTime());
  if (key instanceof ArrayBuffer) return key.slice(0);
  return key.map(fromKey);
}

/** Numbers come first, then dates, strings, bytes and arrays. Returns -1, 0 or 1. */
export function compare(a: Key, b: Key): number {
  if (typeof a === "string" && typeof b === "string") return order(a, b);
  if (typeof a === "number" && typeof b === "number") return order(a, b);
  const rank = order(rankOf(a), rankOf(b));
  if (rank !== 0) return rank;
  if (a instanceof Date && b instanceof Date) return order(a.getTime(), b.getTime());
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) return compareItems(new Uint8Array(a), new Uint8Array(b));
  return compareItems(a as readonly Key[], b as readonly Key[]);
}

function order(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareItems(a: ArrayLike<Key>, b: ArrayLike<Key>): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const result = compare(a[i] as Key, b[i] as Key);
    if (result !== 0) return result;
  }
  return order(a.length, b.length);
}

function rankOf(key: Key): number {
  if (typeof key === "number") return 0;
  if (typeof key === "string") return 2;
  if (key instanceof Date) return 1;
  return key instanceof ArrayBuffer ? 3 : 4;
}

/** `IDBKeyRange`. */
export class KeyRange {
  readonly lower: Key | undefined;
  readonly upper: Key | undefined;
  readonly lowerOpen: boolean;
  readonly upperOpen: boolean;

  constructor(lower: Key | undefined, upper: Key | undefined, lowerOpen = false, upperOpen = false) {
    this.lower = lower;
    this.upper = upper;
    this.lowerOpen = lowerOpen;
    this.upperOpen = upperOpen;
  }

  static only(value: unknown): KeyRange {
    const key = toKey(value);
    return new KeyRange(key, key);
  }

  static lowerBound(lower: unknown, isOpen = false): KeyRange {
    return new KeyRange(toKey(lower), undefined, isOpen, true);
  }

  static upperBound(upper: unknown, isOpen = false): KeyRange {
    return new KeyRange(undefined, toKey(upper), true, isOpen);
  }

  static bound(from: unknown, to: unknown, lowerOpen = false, upperOpen = false): KeyRange {
    const lower = toKey(from);
    const upper = toKey(to);
    const sign = compare(lower, upper);
    must(sign < 0 || (sign === 0 && !lowerOpen && !upperOpen), "DataError", "The lower key is greater than the upper key.");
    return new KeyRange(lower, upper, lowerOpen, upperOpen);
  }

  includes(value: unknown): boolean {
    return this.holds(toKey(value));
  }

  holds(key: Key): boolean {
    if (this.lower !== undefined && compare(key, this.lower) < (this.lowerOpen ? 1 : 0)) return false;
    return this.upper === undefined || compare(key, this.upper) <= (this.upperOpen ? -1 : 0);
  }

  get [Symbol.toStringTag](): string {
    return "IDBKeyRange";
  }
}

const EVERYTHING = new KeyRange(undefined, undefined, true, true);

/** The range that a query asks for: everything, if it is left out. @throws DataError if it is neither a range nor a key */
export function toRange(query: unknown): KeyRange {
  return query === undefined || query === null ? EVERYTHING : toGivenRange(query);
}

/** As `toRange`, but the query can't be left out. */
export function toGivenRange(query: unknown): KeyRange {
  if (query instanceof KeyRange) return query;
  const key = toKey(query);
  return new KeyRange(key, key);
}
