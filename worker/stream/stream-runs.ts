/**
 * What a stream's object stores: its events as runs, in the order of their versions.
 *
 *     key: the run's last version, padded     value: { events: lines as UTF-8, name: of the object, in the first run }
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

export class StreamRuns {
  readonly #storage: DurableObjectStorage;
  #version: number;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#takeOverTable();
    this.#version = this.#readVersion();
  }

  /** The stream's version; 0 if nothing was written yet. */
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
    for (const entry of this.#storage.kv.list<Value>({ start: ordinalKey(version) })) yield toRun(entry);
  }

  /** The same in the other direction: from the run that has `version` down. */
  *downFrom(version: number): Generator<StoredRun> {
    yield this.holding(version);
    for (const entry of this.#storage.kv.list<Value>({ end: ordinalKey(version), reverse: true })) yield toRun(entry);
  }

  /** The run that has a version of the stream. */
  holding(version: number): StoredRun {
    const [run] = this.#storage.kv.list<Value>({ start: ordinalKey(version), limit: 1 });
    assert(run !== undefined, "each version of the stream is in a run");
    return toRun(run);
  }

  /** The last version before the last run; 0 if that is the first run. */
  beforeLast(): number {
    const [, run] = this.#storage.kv.list<Value>({ reverse: true, limit: 2 });
    return run === undefined ? 0 : Number(run[0]);
  }

  /** The object's name, of a stream that has events. */
  name(): string {
    const [first] = this.#storage.kv.list<Value>({ limit: 1 });
    const name = first?.[1].name;
    assert(name !== undefined, "the first run has the object's name");
    return name;
  }

  #put(lastVersion: number, value: Value): void {
    this.#storage.kv.put(ordinalKey(lastVersion), value);
  }

  #readVersion(): number {
    const [last] = this.#storage.kv.list<Value>({ reverse: true, limit: 1 });
    return last === undefined ? 0 : Number(last[0]);
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
