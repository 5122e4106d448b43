/** `IDBCursor` and `IDBCursorWithValue`: https://w3c.github.io/IndexedDB/#cursor-iteration. An update or a delete is a request of its store. */
import { cloneOf } from "./clone.ts";
import { failure, must } from "./failure.ts";
import { valueAt } from "./key-path.ts";
import { compare, fromKey, type Key, type KeyRange, keyOrNothing, toKey } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import type { Queries } from "./queries.ts";
import type { Entry, SortedEntries } from "./records.ts";
import type { StoreRequest } from "./request.ts";

export type Direction = "next" | "nextunique" | "prev" | "prevunique";
const DIRECTIONS: readonly unknown[] = ["next", "nextunique", "prev", "prevunique"] satisfies Direction[];

export function toDirection(given: Direction | undefined): Direction {
  if (given === undefined) return "next";
  if (!DIRECTIONS.includes(given)) throw new TypeError("The direction is not one of a cursor.");
  return given;
}

export class Cursor {
  readonly source: Queries;
  readonly direction: Direction;
  readonly request: StoreRequest;
  readonly #entries: SortedEntries<Entry>;
  readonly #range: KeyRange;
  /** The entry where it is; undefined before the first one and after the last one. */
  protected entry: Entry | undefined;
  /** True while the caller may move it on. */
  #hasArrived = false;
  #key: unknown;
  #primaryKey: unknown;

  constructor(source: Queries, entries: SortedEntries<Entry>, range: KeyRange, direction: Direction, request: StoreRequest) {
    this.source = source;
    this.#entries = entries;
    this.#range = range;
    this.direction = direction;
    this.request = request;
  }

  get key(): unknown {
    return this.#key;
  }

  get primaryKey(): unknown {
    return this.#primaryKey;
  }

  continue(given?: unknown): void {
    this.#assertMovable();
    const key = given === undefined ? undefined : toKey(given);
    if (key !== undefined) must(this.#sign(key, this.entry?.key) > 0, "DataError", "The key is not ahead of the cursor.");
    this.#again(() => this.move(1, key));
  }

  continuePrimaryKey(given: unknown, givenPrimary: unknown): void {
    const { entry } = this;
    this.source.transaction.assertActive();
    this.#assertSource();
    const isUsable = "objectStore" in this.source && !this.direction.endsWith("unique");
    must(isUsable, "InvalidAccessError", "The cursor is not one over all entries of an index.");
    must(this.#hasArrived && entry !== undefined, "InvalidStateError", "The cursor is being moved or is at its end.");
    const key = toKey(given);
    const primary = toKey(givenPrimary);
    const sign = this.#sign(key, entry.key) || this.#sign(primary, entry.record.key);
    must(sign > 0, "DataError", "The keys are not ahead of the cursor.");
    this.#again(() => this.move(1, key, primary));
  }

  advance(count: number): void {
    const steps = Math.trunc(Number(count));
    if (!(steps > 0 && steps < 2 ** 32)) throw new TypeError("The count is no unsigned long above 0.");
    this.#assertMovable();
    this.#again(() => this.move(steps));
  }

  update(value: unknown): StoreRequest {
    const { store, entry } = this.#changeable();
    const copy = cloneOf(value);
    if (store.keyPath !== null) {
      const found = valueAt(copy, store.keyPath);
      const key = found === undefined ? undefined : keyOrNothing(found);
      must(key !== undefined && compare(key, entry.record.key) === 0, "DataError", "The value has another key than the cursor.");
      return store.write(copy, key, false, this);
    }
    return store.write(copy, entry.record.key, false, this);
  }

  delete(): StoreRequest {
    const { store, entry } = this.#changeable();
    return store.deleteKey(entry.record.key, this);
  }

  /** Moves on, and returns the request's result: the cursor, or null at the end. */
  move(count: number, key?: Key, primary?: Key): this | null {
    for (let left = count; left > 0; left--) {
      this.entry = this.#following(key, primary);
      if (this.entry === undefined) break;
    }
    const { entry } = this;
    this.#hasArrived = entry !== undefined;
    this.#key = entry === undefined ? undefined : fromKey(entry.key);
    this.#primaryKey = entry === undefined ? undefined : fromKey(entry.record.key);
    this.arrive(entry);
    return entry === undefined ? null : this;
  }

  protected arrive(_entry: Entry | undefined): void {}

  #following(key: Key | undefined, primary: Key | undefined): Entry | undefined {
    return this.direction.startsWith("next") ? this.#next(key, primary) : this.#previous(key, primary);
  }

  #next(key: Key | undefined, primary: Key | undefined): Entry | undefined {
    const entries = this.#entries;
    let place = this.#place(true) ?? entries.start(this.#range);
    if (key !== undefined) place = Math.max(place, entries.place(key, primary, false));
    return place < entries.end(this.#range) ? entries.items[place] : undefined;
  }

  #previous(key: Key | undefined, primary: Key | undefined): Entry | undefined {
    const entries = this.#entries;
    let place = (this.#place(false) ?? entries.end(this.#range)) - 1;
    if (key !== undefined) place = Math.min(place, entries.place(key, primary, true) - 1);
    const found = place >= entries.start(this.#range) ? entries.items[place] : undefined;
    if (found === undefined || this.direction === "prev") return found;
    return entries.items[entries.place(found.key, undefined, false)]; // the first entry of this key
  }

  /** The place behind or at where it is; undefined before the first step. */
  #place(isAfter: boolean): number | undefined {
    const { entry } = this;
    if (entry === undefined) return undefined;
    return this.#entries.place(entry.key, this.direction.endsWith("unique") ? undefined : entry.record.key, isAfter);
  }

  /** 1 if `key` is ahead of `other` in the cursor's direction. */
  #sign(key: Key, other: Key | undefined): number {
    const sign = other === undefined ? 1 : compare(key, other);
    return this.direction.startsWith("next") ? sign : -sign;
  }

  #assertSource(): void {
    must(!this.source.isDeleted, "InvalidStateError", "The cursor's store or index has been deleted.");
  }

  #assertMovable(): void {
    this.source.transaction.assertActive();
    this.#assertSource();
    must(this.#hasArrived, "InvalidStateError", "The cursor is being moved or is at its end.");
  }

  #again(work: () => unknown): void {
    this.#hasArrived = false;
    this.request.readyState = "pending";
    this.request.work = work;
    this.source.transaction.enqueue(this.request);
  }

  #changeable(): { readonly store: ObjectStore; readonly entry: Entry } {
    const { transaction } = this.source;
    transaction.assertActive();
    must(transaction.isWriting, "ReadOnlyError", "The transaction is readonly.");
    this.#assertSource();
    const { entry } = this;
    if (!this.#hasArrived || entry === undefined) throw failure("InvalidStateError", "The cursor is being moved or is at its end.");
    must(this instanceof CursorWithValue, "InvalidStateError", "The cursor has no values.");
    return { store: this.source.store, entry };
  }

  get [Symbol.toStringTag](): string {
    return "IDBCursor";
  }
}

export class CursorWithValue extends Cursor {
  #value: unknown;

  get value(): unknown {
    return this.#value;
  }

  protected override arrive(entry: Entry | undefined): void {
    this.#value = entry === undefined ? undefined : cloneOf(entry.record.value);
  }

  override get [Symbol.toStringTag](): string {
    return "IDBCursorWithValue";
  }
}
