/**
 * What one object stores: keys and values, an SQL database, and the time of its alarm. It outlives the object's instances.
 *
 *     write ──► open batch ── no await in between ──► closed ── write latency ──► durable
 *                   │                                    │
 *                   └── no room ──► rolled back          └── the object is killed ──► rolled back
 *
 * A batch is an implicit transaction: all of it becomes durable, or nothing. Batches become durable in their order. Keys and the alarm are
 * rolled back by an undo for each write. SQL is rolled back by its open transaction, and durable batches of that are run again.
 *
 * What is durable may be changed behind the object's back (`damage`), or replaced by an older copy (`PlatformObject.restore`).
 */
import type { Clock, PlatformFaults } from "./clock.ts";
import { FULL } from "./errors.ts";
import { KeyValue, type ListOptions, type Stored } from "./key-value.ts";
import { type Cursor, type Dump, type OpenDatabase, SqlDatabase, type SqlStatements, type Written } from "./sql.ts";

/** All that an object stores, at one moment. */
export interface StorageCopy {
  readonly values: Stored;
  readonly sql: Dump;
  readonly alarm: number | null;
}

export interface StorageHost {
  readonly name: string;
  readonly clock: Clock;
  readonly faults: PlatformFaults;
  readonly openDatabase: OpenDatabase;
  readonly emptyDatabase: SqlStatements;
  /** A new time of the alarm is durable. */
  onAlarmSet(): void;
  /** A write found no room. */
  onFull(): void;
}

/** What is stored, for a fault that changes it behind the object's back. */
export interface RawStorage {
  put(key: string, value: unknown): void;
  delete(key: string): void;
  exec(query: string, ...values: readonly unknown[]): void;
}

/** What a write changed, as it was before: a key, or the alarm. */
type Before = { readonly key: string; readonly existed: boolean; readonly value: unknown } | { readonly alarm: number | null };

interface Batch {
  readonly before: Before[];
  readonly written: Written[];
  setsAlarm: boolean;
  isWritten: boolean;
  /** Made if somebody waits for it. */
  durable: PromiseWithResolvers<void> | undefined;
}

export class ObjectStorage {
  readonly #host: StorageHost;
  readonly #values: KeyValue;
  readonly #sql: SqlDatabase;
  #alarm: number | null;
  #open: Batch | undefined;
  /** Closed and not durable yet, in order. */
  #closed: Batch[] = [];
  /** What is durable, and in the open transaction of SQLite. */
  #durable: Written[] = [];
  #depth = 0;
  /** A write found no room, and the object is about to be reset. */
  #isBroken = false;

  constructor(host: StorageHost, copy: StorageCopy | undefined) {
    this.#host = host;
    this.#values = new KeyValue(copy?.values);
    this.#sql = new SqlDatabase(host.openDatabase, host.emptyDatabase);
    if (copy !== undefined) this.#sql.load(copy.sql);
    this.#alarm = copy?.alarm ?? null;
  }

  get isEmpty(): boolean {
    return this.#values.size === 0 && this.#sql.isUnused && this.#alarm === null;
  }

  /** Milliseconds since 1970; null if none is set. */
  get alarm(): number | null {
    return this.#alarm;
  }

  /** Resolves when all that was written so far is durable; undefined if it is. */
  durable(): Promise<void> | undefined {
    const last = this.#open ?? this.#closed.at(-1);
    if (last === undefined) return undefined;
    last.durable ??= Promise.withResolvers();
    return last.durable.promise;
  }

  get(key: string): unknown {
    return this.#values.get(key);
  }

  list(options?: ListOptions): Generator<[string, unknown]> {
    return this.#values.list(options);
  }

  put(key: string, value: unknown): void {
    const stored = KeyValue.storable(key, value);
    this.#write(this.#valueOf(key));
    this.#values.put(key, stored);
  }

  delete(key: string): boolean {
    if (!this.#values.has(key)) return false;
    this.#write(this.#valueOf(key));
    return this.#values.delete(key);
  }

  /** All keys and all tables. The alarm is another matter. */
  deleteAll(): void {
    for (const [key] of [...this.list()]) this.delete(key);
    const tables = this.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", []).toArray();
    for (const { name } of tables) this.exec(`DROP TABLE "${name}"`, []);
  }

  #valueOf(key: string): Before {
    return { key, existed: this.#values.has(key), value: this.#values.stored(key) };
  }

  exec(query: string, values: readonly unknown[]): Cursor {
    if (!this.#sql.isWrite(query)) return this.#sql.read(query, values);
    const written = { query, values };
    const batch = this.#write();
    const cursor = this.#sql.write(written, this.#depth);
    batch.written.push(written);
    return cursor;
  }

  setAlarm(at: number | null): void {
    if (at === this.#alarm) return;
    this.#write({ alarm: this.#alarm }).setsAlarm = true;
    this.#alarm = at;
  }

  /** The alarm's handler has succeeded, and set no other. */
  endAlarm(): void {
    this.#alarm = null;
  }

  /** If `work` throws, what it wrote is rolled back. @throws TypeError if it returns a promise; what `work` throws */
  transaction<T>(work: () => T): T {
    const before = this.#open;
    const undone = before?.before.length ?? 0;
    const written = before?.written.length ?? 0;
    const depth = ++this.#depth;
    try {
      const result = work();
      if (isPromise(result))
        throw new TypeError("transactionSync() needs a callback that is not async: what it writes later would be outside.");
      this.#sql.release(depth);
      return result;
    } catch (error) {
      // If a write found no room, all of the batch is rolled back already.
      if (before === undefined || before === this.#open) this.#rollBackTo(depth, undone, written);
      throw error;
    } finally {
      this.#depth = depth - 1;
    }
  }

  #rollBackTo(depth: number, undone: number, written: number): void {
    this.#sql.rollbackTo(depth);
    if (this.#open === undefined) return;
    this.#undo(this.#open.before.splice(undone));
    this.#open.written.splice(written);
  }

  /**
   * Changes what is stored, as a disk does that fails: the object is not told, and keeps what it has in memory.
   *
   * @returns whether it did: nothing is changed while writes are on their way
   */
  damage(change: (stored: RawStorage) => void): boolean {
    if (this.#pending().length > 0) return false;
    change({
      put: (key, value) => this.#values.put(key, KeyValue.storable(key, value)),
      delete: (key) => this.#values.delete(key),
      exec: (query, ...values) => this.#sql.write({ query, values }, 0),
    });
    this.#sql.commit();
    return true;
  }

  /** Everything that is not durable yet is rolled back. */
  lose(): void {
    this.#isBroken = false;
    this.#rollBack(this.#pending());
    this.#closed = [];
    this.#open = undefined;
    this.#rebuildSql();
  }

  /** Frees the database. The storage can't be used any more. */
  close(): void {
    this.#sql.close();
  }

  /** What is durable. Not to be called in a transaction. */
  copy(): StorageCopy {
    const values = this.#values.snapshot();
    let alarm = this.#alarm;
    for (const { before } of this.#pending().reverse()) {
      for (const one of before.toReversed()) {
        if ("alarm" in one) alarm = one.alarm;
        else if (one.existed) values.set(one.key, one.value);
        else values.delete(one.key);
      }
    }
    return { values, sql: this.#durableSql(), alarm };
  }

  #durableSql(): Dump {
    const pending = this.#pending();
    if (pending.every(({ written }) => written.length === 0)) return this.#sql.dump();
    this.#sql.rollback();
    this.#runAgain([{ written: this.#durable }]);
    const dump = this.#sql.dump();
    this.#runAgain(pending);
    return dump;
  }

  #pending(): Batch[] {
    return this.#open === undefined ? [...this.#closed] : [...this.#closed, this.#open];
  }

  /** @throws Error if there is no room */
  #write(before?: Before): Batch {
    if (this.#isBroken || this.#host.faults.isFull(this.#host.name)) {
      this.#outOfRoom();
      throw new Error(FULL);
    }
    if (this.#open === undefined) {
      const batch: Batch = { before: [], written: [], setsAlarm: false, isWritten: false, durable: undefined };
      this.#open = batch;
      queueMicrotask(() => this.#close(batch));
    }
    if (before !== undefined) this.#open.before.push(before);
    return this.#open;
  }

  #outOfRoom(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    if (this.#open !== undefined) this.#rollBack([this.#open]);
    this.#open = undefined;
    this.#rebuildSql();
    this.#host.onFull();
  }

  #close(batch: Batch): void {
    if (this.#open !== batch) return;
    this.#open = undefined;
    this.#closed.push(batch);
    const wait = this.#host.faults.writeLatency();
    if (wait > 0) this.#host.clock.after(wait, () => this.#onWritten(batch));
    else this.#onWritten(batch);
  }

  #onWritten(batch: Batch): void {
    if (!this.#closed.includes(batch)) return;
    batch.isWritten = true;
    let setsAlarm = false;
    for (let first = this.#closed[0]; first?.isWritten === true; first = this.#closed[0]) {
      this.#closed.shift();
      this.#durable.push(...first.written);
      setsAlarm ||= first.setsAlarm;
      first.durable?.resolve();
    }
    if (this.#closed.length === 0 && this.#open === undefined) {
      this.#sql.commit();
      this.#durable = [];
    }
    if (setsAlarm) this.#host.onAlarmSet();
  }

  #rollBack(batches: readonly Batch[]): void {
    for (const { before } of batches.toReversed()) this.#undo(before);
  }

  #undo(before: readonly Before[]): void {
    for (const one of before.toReversed()) {
      if ("alarm" in one) this.#alarm = one.alarm;
      else if (one.existed) this.#values.put(one.key, one.value);
      else this.#values.delete(one.key);
    }
  }

  /** Rolls SQLite back to its last commit, and runs again what is to stay. */
  #rebuildSql(): void {
    this.#sql.rollback();
    this.#runAgain([{ written: this.#durable }, ...this.#closed]);
    if (this.#closed.length > 0) return;
    this.#sql.commit();
    this.#durable = [];
  }

  #runAgain(batches: readonly Pick<Batch, "written">[]): void {
    for (const { written } of batches) for (const one of written) this.#sql.write(one, 0);
  }
}

function isPromise(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
