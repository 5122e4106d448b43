/**
 * What a stream's object stores: its events as runs, in the order of their versions.
 *
 *     key: the run's last version, padded     value: { events: lines as UTF-8, name: of the object, in the first run }
 *     key: !restore                           value: which restore added the runs after `from`. They are hidden until it has ended
 *
 * An object has its key-value store from the start; a table of its own would cost two more rows for each stream
 * (docs/decisions/0015-runs-of-a-stream.md). Events are stored as UTF-8, because a value counts with its serialised size: a text that is
 * not Latin-1 would take two bytes for each of its characters.
 */
import { assert } from "../../shared/assert.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";

export interface StoredRun {
  readonly lastVersion: number;
  /** As `run-text.ts` makes them. */
  readonly events: string;
}

interface Value {
  readonly events: Uint8Array;
  readonly name?: string;
}

/** The note of a restore that has not ended, as far as the stream knows. */
export interface RestoreNote {
  /** The restore's. */
  readonly id: string;
  /** The object's. */
  readonly name: string;
  /** The stream's version before the restore: the runs after it are restored ones. */
  readonly from: number;
}

/** Sorts before the keys of all runs. */
const RESTORE = "!restore";

export class StreamRuns {
  readonly #storage: DurableObjectStorage;
  #restore: RestoreNote | undefined;
  #version: number;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#takeOverTable();
    this.#restore = storage.kv.get<RestoreNote>(RESTORE);
    this.#version = this.#readVersion();
  }

  get restore(): RestoreNote | undefined {
    return this.#restore;
  }

  /** The stream's version; 0 if nothing was written yet. Restored runs count when they are shown. */
  get version(): number {
    return this.#version;
  }

  /**
   * Adds runs after the ones that are stored, all of them or none.
   *
   * @param name the object's: an alarm may not know it otherwise
   * @throws what the storage throws, for example if the database is full
   */
  add(name: string, runs: readonly StoredRun[]): void {
    try {
      this.#storage.transactionSync(() => {
        for (const { lastVersion, events } of runs) {
          const isFirst = this.#version === 0;
          this.#put(lastVersion, { events: new TextEncoder().encode(events), ...(isFirst && { name }) });
          this.#version = lastVersion;
        }
      });
    } catch (error) {
      this.#version = this.#readVersion();
      throw error;
    }
  }

  /** The runs from the one that has `version` on, by default all runs. Each is read when it is its turn. */
  *from(version = 1): Generator<StoredRun> {
    yield* this.#between(version, this.#version);
  }

  /** The same, with the hidden runs. */
  *withHiddenFrom(version: number): Generator<StoredRun> {
    yield* this.#between(version, Number.MAX_SAFE_INTEGER - 1);
  }

  *#between(version: number, last: number): Generator<StoredRun> {
    if (version > last) return;
    const range = { start: ordinalKey(version), end: ordinalKey(last + 1) };
    for (const entry of this.#storage.kv.list<Value>(range)) yield toRun(entry);
  }

  /** The same in the other direction: from the run that has `version` down. */
  *downFrom(version: number): Generator<StoredRun> {
    yield this.holding(version);
    const range = { start: ordinalKey(0), end: ordinalKey(version), reverse: true };
    for (const entry of this.#storage.kv.list<Value>(range)) yield toRun(entry);
  }

  /** The run that has a version of the stream. */
  holding(version: number): StoredRun {
    const [run] = this.#storage.kv.list<Value>({ start: ordinalKey(version), limit: 1 });
    assert(run !== undefined, "each version of the stream is in a run");
    return toRun(run);
  }

  /** The last version before the last run; 0 if that is the first run. */
  beforeLast(): number {
    const range = { start: ordinalKey(0), end: ordinalKey(this.#version + 1), reverse: true, limit: 2 };
    const [, run] = this.#storage.kv.list<Value>(range);
    return run === undefined ? 0 : Number(run[0]);
  }

  /** The object's name, of a stream that has events. */
  name(): string {
    const [first] = this.#storage.kv.list<Value>({ start: ordinalKey(0), limit: 1 });
    const name = first?.[1].name;
    assert(name !== undefined, "the first run has the object's name");
    return name;
  }

  #put(lastVersion: number, value: Value): void {
    this.#storage.kv.put(ordinalKey(lastVersion), value);
  }

  #readVersion(): number {
    return this.#restore?.from ?? this.withHidden;
  }

  /** The last version with the hidden runs. */
  get withHidden(): number {
    const [last] = this.#storage.kv.list<Value>({ start: ordinalKey(0), reverse: true, limit: 1 });
    return last === undefined ? 0 : Number(last[0]);
  }

  /** Adds hidden runs of a restore after all others. Without runs, the stream still takes note of the restore. */
  hide(id: string, name: string, runs: readonly StoredRun[]): void {
    const note = this.#restore ?? { id, name, from: this.#version };
    this.#storage.transactionSync(() => {
      if (this.#restore === undefined) this.#storage.kv.put(RESTORE, note);
      let version = this.withHidden;
      for (const { lastVersion, events } of runs) {
        this.#put(lastVersion, { events: new TextEncoder().encode(events), ...(version === 0 && { name }) });
        version = lastVersion;
      }
    });
    this.#restore = note;
  }

  /** The restore has ended: its runs are shown, or deleted. */
  endRestore(how: "show" | "delete"): void {
    this.#storage.transactionSync(() => {
      if (how === "delete") {
        const hidden = [...this.#storage.kv.list({ start: ordinalKey(this.#version + 1) })];
        for (const [key] of hidden) this.#storage.kv.delete(key);
      }
      this.#storage.kv.delete(RESTORE);
    });
    this.#restore = undefined;
    this.#version = this.#readVersion();
  }

  /** Moves the runs of an earlier version, in which they were rows of a table. */
  #takeOverTable(): void {
    const { sql } = this.#storage;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'runs'").toArray().length === 0) return;
    this.#storage.transactionSync(() => {
      const rows = sql.exec<{ last_version: number; name: string | null; events: string }>("SELECT * FROM runs");
      for (const { last_version, name, events } of rows) {
        this.#put(last_version, { events: new TextEncoder().encode(events), ...(name !== null && { name }) });
      }
      sql.exec("DROP TABLE runs");
    });
  }
}

function toRun([key, { events }]: [string, Value]): StoredRun {
  return { lastVersion: Number(key), events: new TextDecoder().decode(events) };
}
