/**
 * `IDBObjectStore` and `IDBIndex`. A put or an add fails with QuotaExceededError if the disk has no room (`no-room`). Deletes don't: browsers
 * keep room for them.
 */
import { cloneOf } from "./clone.ts";
import { failure, must } from "./failure.ts";
import { canTakeKey, setKey, toKeyPath, valueAt } from "./key-path.ts";
import { fromKey, type Key, KeyRange, keyOrNothing, toGivenRange, toKey } from "./keys.ts";
import { namesOf } from "./names.ts";
import { Queries } from "./queries.ts";
import { type Entry, IndexData, type SortedEntries, type StoreData, StoredRecord } from "./records.ts";
import { StoreRequest } from "./request.ts";
import type { Transaction } from "./transaction.ts";

export class ObjectStore extends Queries {
  readonly transaction: Transaction;
  readonly data: StoreData;
  readonly #handles = new Map<IndexData, Index>();

  constructor(transaction: Transaction, data: StoreData) {
    super();
    this.transaction = transaction;
    this.data = data;
  }

  get name(): string {
    return this.data.name;
  }

  set name(given: string) {
    const { data, transaction } = this;
    const name = String(given);
    this.#assertUpgrading();
    if (name === data.name) return;
    transaction.db.renameStore(data, name, transaction);
  }

  get keyPath() {
    return this.data.keyPath;
  }

  get autoIncrement(): boolean {
    return this.data.autoIncrement;
  }

  get indexNames(): readonly string[] {
    return namesOf(this.data.indexes.keys());
  }

  get store(): this {
    return this;
  }

  get isDeleted(): boolean {
    return this.data.isDeleted;
  }

  get [Symbol.toStringTag](): string {
    return "IDBObjectStore";
  }

  readable(): SortedEntries<Entry> {
    this.#assertExists();
    this.transaction.assertActive();
    return this.data.records;
  }

  put(value: unknown, key?: unknown): StoreRequest {
    return this.#store(value, key, false);
  }

  add(value: unknown, key?: unknown): StoreRequest {
    return this.#store(value, key, true);
  }

  delete(query: unknown): StoreRequest {
    this.#assertWritable();
    const range = toGivenRange(query);
    return this.#deleteRange(range, this);
  }

  clear(): StoreRequest {
    this.#assertWritable();
    return this.request(() => this.data.clear(this.transaction.undos));
  }

  index(name: string): Index {
    this.#assertExists();
    must(this.transaction.state !== "finished", "InvalidStateError", "The transaction has finished.");
    const data = this.data.indexes.get(String(name));
    if (data === undefined) throw failure("NotFoundError", "The store has no such index.");
    let handle = this.#handles.get(data);
    if (handle === undefined) {
      handle = new Index(this, data);
      this.#handles.set(data, handle);
    }
    return handle;
  }

  createIndex(given: string, givenPath: unknown, { unique = false, multiEntry = false }: IDBIndexParameters = {}): Index {
    this.#assertUpgrading();
    const { data, transaction } = this;
    const name = String(given);
    must(!data.indexes.has(name), "ConstraintError", "The store has such an index already.");
    const keyPath = toKeyPath(givenPath ?? String(givenPath)) ?? "";
    must(!multiEntry || !Array.isArray(keyPath), "InvalidAccessError", "An index with several key paths can't be a multiEntry one.");
    const index = new IndexData(name, keyPath, unique, multiEntry);
    data.indexes.set(name, index);
    transaction.undos.push(() => {
      data.indexes.delete(name);
      index.isDeleted = true;
    });
    // The index is filled when the requests that were made before it have been answered. It holds nothing of later ones before that.
    const records = data.records.items;
    if (records.length === 0) return this.index(name);
    const isTaken = records.some((record) => {
      const isDouble = unique && index.isTaken(index.keysOf(record.value), undefined);
      if (!isDouble) index.add(record);
      return isDouble;
    });
    if (isTaken) {
      const request = new StoreRequest(null, transaction, () => {
        throw failure("ConstraintError", "Two records have the same key in a unique index.");
      });
      transaction.enqueue(request);
    }
    return this.index(name);
  }

  deleteIndex(given: string): void {
    this.#assertUpgrading();
    const { data, transaction } = this;
    const name = String(given);
    const index = data.indexes.get(name);
    if (index === undefined) throw failure("NotFoundError", "The store has no such index.");
    data.indexes.delete(name);
    index.isDeleted = true;
    transaction.undos.push(() => {
      index.isDeleted = false; // its entries are still those of the records there were
      data.indexes.set(name, index);
    });
  }

  /** @param value a copy that nobody else has. @param source of the request */
  write(value: unknown, key: Key | undefined, isNew: boolean, source: unknown): StoreRequest {
    const { transaction } = this;
    return transaction.enqueue(new StoreRequest(source, transaction, () => fromKey(this.#writeWhole(value, key, isNew))));
  }

  deleteKey(key: Key, source: unknown): StoreRequest {
    return this.#deleteRange(new KeyRange(key, key), source);
  }

  #deleteRange(range: KeyRange, source: unknown): StoreRequest {
    const { transaction, data } = this;
    return transaction.enqueue(new StoreRequest(source, transaction, () => data.delete(range, transaction.undos)));
  }

  #store(value: unknown, given: unknown, isNew: boolean): StoreRequest {
    this.#assertWritable();
    const { keyPath, autoIncrement } = this.data;
    must(keyPath === null || given === undefined, "DataError", "The store takes its keys from the values.");
    must(keyPath !== null || autoIncrement || given !== undefined, "DataError", "The store needs a key.");
    const outer = given === undefined ? undefined : toKey(given);
    const copy = cloneOf(value);
    return this.write(copy, keyPath === null ? outer : this.#innerKey(copy, keyPath), isNew, this);
  }

  #innerKey(value: unknown, keyPath: string | readonly string[]): Key | undefined {
    const found = valueAt(value, keyPath);
    if (found !== undefined) {
      const key = keyOrNothing(found);
      if (key === undefined) throw failure("DataError", "The value's key is not valid.");
      return key;
    }
    const canTake = this.data.autoIncrement && typeof keyPath === "string" && canTakeKey(value, keyPath);
    must(canTake, "DataError", "The value has no key.");
    return undefined;
  }

  /** A request that fails undoes its own changes, whether or not its transaction is aborted. */
  #writeWhole(value: unknown, given: Key | undefined, isNew: boolean): Key {
    const { undos } = this.transaction;
    const before = undos.length;
    try {
      return this.#write(value, given, isNew);
    } catch (error) {
      for (const undo of undos.splice(before).reverse()) undo();
      throw error;
    }
  }

  #write(value: unknown, given: Key | undefined, isNew: boolean): Key {
    const { data, transaction } = this;
    if (transaction.db.tab.faults.strikes("no-room")) throw failure("QuotaExceededError", "The disk has no room left.");
    let key = given;
    if (key === undefined) {
      key = data.generateKey(transaction.undos);
      if (typeof data.keyPath === "string") setKey(value, data.keyPath, key);
    } else data.skipKey(key, transaction.undos);
    data.put(new StoredRecord(key, value), isNew, transaction.undos);
    transaction.hasPut = true;
    return key;
  }

  #assertExists(): void {
    must(!this.isDeleted, "InvalidStateError", "The store has been deleted.");
  }

  #assertWritable(): void {
    this.#assertExists();
    this.transaction.assertActive();
    must(this.transaction.isWriting, "ReadOnlyError", "The transaction is readonly.");
  }

  #assertUpgrading(): void {
    must(this.transaction.mode === "versionchange", "InvalidStateError", "The database is not being upgraded.");
    this.#assertExists();
    this.transaction.assertActive();
  }
}

export class Index extends Queries {
  readonly objectStore: ObjectStore;
  readonly data: IndexData;

  constructor(objectStore: ObjectStore, data: IndexData) {
    super();
    this.objectStore = objectStore;
    this.data = data;
  }

  get transaction(): Transaction {
    return this.objectStore.transaction;
  }

  get store(): ObjectStore {
    return this.objectStore;
  }

  get name(): string {
    return this.data.name;
  }

  get keyPath() {
    return this.data.keyPath;
  }

  get unique(): boolean {
    return this.data.unique;
  }

  get multiEntry(): boolean {
    return this.data.multiEntry;
  }

  get isDeleted(): boolean {
    return this.data.isDeleted || this.objectStore.isDeleted;
  }

  get [Symbol.toStringTag](): string {
    return "IDBIndex";
  }

  readable(): SortedEntries<Entry> {
    must(!this.isDeleted, "InvalidStateError", "The index has been deleted.");
    this.transaction.assertActive();
    return this.data.entries;
  }
}
