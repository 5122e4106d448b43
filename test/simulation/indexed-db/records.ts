/**
 * What a database holds: records and index entries in sorted arrays, with binary search. That is fast at the sizes of a simulated world, some
 * thousand records. Each change returns a function that undoes it: for a transaction that is aborted, and for a machine that dies.
 *
 * Left out: records that are damaged or return other than they were stored. Browsers check what they read, and delete a damaged database
 * whole, which the world can do with `deleteDatabase`.
 */
import { must } from "./failure.ts";
import { type KeyPath, valueAt } from "./key-path.ts";
import { compare, type Key, type KeyRange, keyOrNothing } from "./keys.ts";

export type Undo = () => void;

/** An entry of a store or of an index. An entry of a store is its own record. */
export interface Entry {
  readonly key: Key;
  readonly record: StoredRecord;
}

export class StoredRecord implements Entry {
  readonly key: Key;
  readonly value: unknown;

  constructor(key: Key, value: unknown) {
    this.key = key;
    this.value = value;
  }

  get record(): this {
    return this;
  }
}

/** Entries by key. Entries of one key are in the order of their records' keys. */
export class SortedEntries<E extends Entry> {
  items: E[] = [];

  /** The first place whose entry comes after the key, or at the key too if `isAfter` is false. */
  place(key: Key, primary: Key | undefined, isAfter: boolean): number {
    const { items } = this;
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = items[middle] as E;
      let sign = compare(item.key, key);
      if (sign === 0 && primary !== undefined) sign = compare(item.record.key, primary);
      if (sign < 0 || (sign === 0 && isAfter)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  start({ lower, lowerOpen }: KeyRange): number {
    return lower === undefined ? 0 : this.place(lower, undefined, lowerOpen);
  }

  end({ upper, upperOpen }: KeyRange): number {
    return upper === undefined ? this.items.length : this.place(upper, undefined, !upperOpen);
  }

  first(range: KeyRange): E | undefined {
    const item = this.items[this.start(range)];
    return item !== undefined && range.holds(item.key) ? item : undefined;
  }

  /** The entries of a range: `most` at most. */
  slice(range: KeyRange, most: number): readonly E[] {
    const start = this.start(range);
    return this.items.slice(start, Math.min(this.end(range), start + most));
  }

  add(entry: E): void {
    const { items } = this;
    const last = items.at(-1);
    if (last === undefined || compare(last.key, entry.key) < 0) items.push(entry);
    else items.splice(this.place(entry.key, entry.record.key, true), 0, entry);
  }

  remove(key: Key, primary: Key): void {
    this.items.splice(this.place(key, primary, false), 1);
  }
}

export class IndexData {
  name: string;
  readonly keyPath: string | readonly string[];
  readonly unique: boolean;
  readonly multiEntry: boolean;
  readonly entries = new SortedEntries<Entry>();
  isDeleted = false;

  constructor(name: string, keyPath: string | readonly string[], unique: boolean, multiEntry: boolean) {
    this.name = name;
    this.keyPath = keyPath;
    this.unique = unique;
    this.multiEntry = multiEntry;
  }

  /** The keys under which a record with this value is found. */
  keysOf(value: unknown): readonly Key[] {
    const found = valueAt(value, this.keyPath);
    if (!this.multiEntry || !Array.isArray(found)) {
      const key = found === undefined ? undefined : keyOrNothing(found);
      return key === undefined ? [] : [key];
    }
    const keys: Key[] = [];
    for (const item of found) {
      const key = keyOrNothing(item);
      if (key !== undefined && !keys.some((other) => compare(other, key) === 0)) keys.push(key);
    }
    return keys;
  }

  /** True if a record other than `replaced` has one of these keys. */
  isTaken(keys: readonly Key[], replaced: StoredRecord | undefined): boolean {
    return keys.some((key) => {
      const other = this.entries.items[this.entries.place(key, undefined, false)];
      return other !== undefined && other.record !== replaced && compare(other.key, key) === 0;
    });
  }

  add(record: StoredRecord): void {
    for (const key of this.keysOf(record.value)) this.entries.add({ key, record });
  }

  remove(record: StoredRecord): void {
    for (const key of this.keysOf(record.value)) this.entries.remove(key, record.key);
  }
}

/** The greatest key that a database assigns. */
const LAST_GENERATED = 2 ** 53;

/** The key that is assigned after this one. Beyond the greatest one there is none. */
function after(key: number): number {
  return key >= LAST_GENERATED ? Number.POSITIVE_INFINITY : key + 1;
}

/** What waits for its turn at a store. */
export interface Waiting {
  readonly isWriting: boolean;
  readonly isStarted: boolean;
  start(): void;
}

export class StoreData {
  name: string;
  readonly keyPath: KeyPath;
  readonly autoIncrement: boolean;
  readonly records = new SortedEntries<StoredRecord>();
  readonly indexes = new Map<string, IndexData>();
  isDeleted = false;
  /** The next key that the database assigns. */
  nextKey = 1;
  /** Open transactions whose scope includes this store, in the order of their creation. */
  queue: Waiting[] = [];
  /** The time up to which the disk is still writing what was committed last. */
  freeAt = 0;

  constructor(name: string, keyPath: KeyPath, autoIncrement: boolean) {
    this.name = name;
    this.keyPath = keyPath;
    this.autoIncrement = autoIncrement;
  }

  get(key: Key): StoredRecord | undefined {
    const record = this.records.items[this.records.place(key, undefined, false)];
    return record !== undefined && compare(record.key, key) === 0 ? record : undefined;
  }

  /** @throws ConstraintError if there are no more keys */
  generateKey(undos: Undo[]): number {
    const key = this.nextKey;
    must(key <= LAST_GENERATED, "ConstraintError", "There are no more keys to assign.");
    this.#setNextKey(after(key), undos);
    return key;
  }

  /** A number that the caller gives as a key is not assigned to another record. */
  skipKey(key: Key, undos: Undo[]): void {
    if (!this.autoIncrement || typeof key !== "number" || key < this.nextKey) return;
    this.#setNextKey(after(Math.floor(key)), undos);
  }

  #setNextKey(next: number, undos: Undo[]): void {
    const before = this.nextKey;
    this.nextKey = next;
    undos.push(() => {
      this.nextKey = before;
    });
  }

  /** @throws ConstraintError if the key is taken and `isNew` is true, or if a unique index has the record's key already */
  put(record: StoredRecord, isNew: boolean, undos: Undo[]): void {
    const replaced = this.get(record.key);
    must(!isNew || replaced === undefined, "ConstraintError", "A record with this key exists already.");
    for (const index of this.indexes.values()) {
      const isFree = !index.unique || !index.isTaken(index.keysOf(record.value), replaced);
      must(isFree, "ConstraintError", "A unique index has this key already.");
    }
    if (replaced !== undefined) this.#remove(replaced);
    this.#add(record);
    undos.push(() => {
      this.#remove(record);
      if (replaced !== undefined) this.#add(replaced);
    });
  }

  delete(range: KeyRange, undos: Undo[]): void {
    const deleted = this.records.slice(range, Number.POSITIVE_INFINITY);
    for (const record of deleted) this.#remove(record);
    if (deleted.length === 0) return;
    undos.push(() => {
      for (const record of deleted) this.#add(record);
    });
  }

  clear(undos: Undo[]): void {
    for (const entries of [this.records, ...[...this.indexes.values()].map((index) => index.entries)] as SortedEntries<Entry>[]) {
      const before = entries.items;
      entries.items = [];
      undos.push(() => {
        entries.items = before;
      });
    }
  }

  #add(record: StoredRecord): void {
    this.records.add(record);
    for (const index of this.indexes.values()) index.add(record);
  }

  #remove(record: StoredRecord): void {
    this.records.remove(record.key, record.key);
    for (const index of this.indexes.values()) index.remove(record);
  }
}

/** True if no transaction that was created before this one, and is still open, must end first. */
export function mayStart(transaction: Waiting, scope: readonly StoreData[]): boolean {
  for (const { queue } of scope) {
    for (const other of queue) {
      if (other === transaction) break;
      if (transaction.isWriting || other.isWriting) return false;
    }
  }
  return true;
}

/** Takes a transaction that has ended out of the queues, and starts those that waited for it. */
export function leaveQueues(transaction: Waiting, scope: readonly StoreData[]): void {
  for (const store of scope) {
    const place = store.queue.indexOf(transaction);
    if (place >= 0) store.queue.splice(place, 1);
  }
  for (const { queue } of scope) for (const other of [...queue]) if (!other.isStarted) other.start();
}
