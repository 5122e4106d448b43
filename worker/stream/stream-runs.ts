/**
 * What a stream's object stores: its events as runs, in the order of their versions.
 *
 *     key: the run's last version, padded     value: { events: lines as UTF-8, name: of the object, in the first run }
 *     key: !ids/ …                            value: fingerprints of the events' ids (`id-blocks.ts`)
 *     key: !restore                           value: which restore added the runs after `from`. They are hidden until it has ended
 *
 * An object has its key-value store from the start; a table of its own would cost two more rows for each stream
 * (docs/decisions/0015-runs-of-a-stream.md). Events are stored as UTF-8, because a value counts with its serialised size: a text that is
 * not Latin-1 would take two bytes for each of its characters.
 *
 * Every run that is read is checked by the digests of its events (`run-text.ts`).
 */
import { assert } from "../../shared/assert.ts";
import { StorageDamagedError } from "../../shared/errors.ts";
import { type Places, placesOf } from "../../shared/places.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";
import { checkRun, type IntactLine, idOf, linesOf, runsOf } from "../objects/run-text.ts";
import { dropBlocks } from "./id-blocks.ts";
import { partsOf } from "./stream-name.ts";

export interface StoredRun {
  readonly lastVersion: number;
  /** As `run-text.ts` makes them. */
  readonly events: string;
}

/** A run that was read, and is as it was written. */
export interface ReadRun extends StoredRun {
  readonly firstVersion: number;
  readonly lines: readonly IntactLine[];
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

const NAMELESS =
  "The storage of a stream is damaged at its first version, which has the stream's name. Who runs the edge has to repair it, or read the stream.";

/** Sorts before the keys of all runs. */
const RESTORE = "!restore";

export class StreamRuns {
  readonly #storage: DurableObjectStorage;
  #restore: RestoreNote | undefined;
  #version: number;
  #name: string | undefined;

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

  /**
   * The runs from the one that has `version` on, by default all runs. Each is read when it is its turn.
   *
   * @param onDamaged called for each damaged run, which is left out. Default: throws the error that names it
   * @throws StorageDamagedError
   */
  *from(version = 1, onDamaged = this.#refuse): Generator<ReadRun> {
    yield* this.#between(version, this.#version, onDamaged);
  }

  /** The same, with the hidden runs. */
  *withHiddenFrom(version: number): Generator<ReadRun> {
    yield* this.#between(version, Number.MAX_SAFE_INTEGER - 1, this.#refuse);
  }

  *#between(version: number, last: number, onDamaged: (run: Places) => void): Generator<ReadRun> {
    if (version > last) return;
    let next = version;
    for (const run of this.#read({ start: ordinalKey(version), end: ordinalKey(last + 1) }, onDamaged)) {
      if (run.firstVersion > next) onDamaged({ first: next, last: run.firstVersion - 1 });
      next = run.lastVersion + 1;
      if (!run.isDamaged) yield run;
    }
  }

  /** The same as `from` in the other direction: from the run that has `version` down. */
  *downFrom(version: number, onDamaged = this.#refuse): Generator<ReadRun> {
    let next = version;
    const ranges = [
      { start: ordinalKey(version), limit: 1 },
      { start: ordinalKey(0), end: ordinalKey(version), reverse: true },
    ];
    for (const range of ranges) {
      for (const run of this.#read(range, onDamaged)) {
        if (run.lastVersion < next) onDamaged({ first: run.lastVersion + 1, last: next });
        next = run.firstVersion - 1;
        if (!run.isDamaged) yield run;
      }
    }
    if (next > 0) onDamaged({ first: 1, last: next });
  }

  /** The run that has a version of the stream. @throws StorageDamagedError */
  holding(version: number): ReadRun {
    const [run] = this.#read({ start: ordinalKey(version), limit: 1 }, this.#refuse);
    if (run === undefined || run.firstVersion > version) throw this.errorOf({ first: version, last: version });
    return run;
  }

  /** The line of a version. @throws StorageDamagedError */
  lineOf(version: number): IntactLine {
    const run = this.holding(version);
    const line = run.lines[version - run.firstVersion];
    assert(line !== undefined, "a run that holds a version has its line");
    return line;
  }

  /** The id of a version's event; undefined if it can't be read. */
  idAt(version: number): string | undefined {
    const [run] = this.#read({ start: ordinalKey(version), limit: 1 }, () => undefined); // who reads the version is told
    const line = run?.lines[version - run.firstVersion];
    return line === undefined ? undefined : idOf(line.content);
  }

  /** Damaged runs are reported and yielded too. A list of the storage ends when another one begins, so nothing else is read in between. */
  *#read(range: SyncKvListOptions, onDamaged: (run: Places) => void): Generator<ReadRun & { readonly isDamaged: boolean }> {
    const { streamId } = partsOf(this.name());
    let rest: SyncKvListOptions | undefined = range;
    while (rest !== undefined) {
      let damaged: number | undefined;
      for (const [key, { events: bytes }] of this.#storage.kv.list<Value>(rest)) {
        const lastVersion = Number(key);
        const events = new TextDecoder().decode(bytes);
        const firstVersion = lastVersion - linesOf(events).length + 1;
        const lines = checkRun(events, streamId, firstVersion, lastVersion);
        if (lines === undefined) damaged = lastVersion;
        else yield { firstVersion, lastVersion, events, lines, isDamaged: false };
        if (damaged !== undefined) break;
      }
      if (damaged === undefined) return;
      const firstVersion = this.#lastBefore(damaged) + 1;
      onDamaged({ first: firstVersion, last: damaged });
      yield { firstVersion, lastVersion: damaged, events: "", lines: [], isDamaged: true };
      if (range.limit !== undefined) return;
      rest = range.reverse === true ? { ...range, end: ordinalKey(damaged) } : { ...range, start: ordinalKey(damaged + 1) };
    }
  }

  readonly #refuse = (run: Places): void => {
    throw this.errorOf(run);
  };

  /** The error for somebody who needs these versions. */
  errorOf({ first, last }: Places): StorageDamagedError {
    const { streamId } = partsOf(this.name());
    const message = `${streamId}: the stream's storage is damaged at ${placesOf("version", first, last)}: what is stored there is not what was written. Who runs the edge has to repair it. A reader may leave it out with damaged=skip.`;
    return new StorageDamagedError(message, { streamId, version: first });
  }

  /** The last version before a run that ends at `lastVersion`. */
  #lastBefore(lastVersion: number): number {
    const [before] = this.#storage.kv.list({ start: ordinalKey(0), end: ordinalKey(lastVersion), reverse: true, limit: 1 });
    return before === undefined ? 0 : Number(before[0]);
  }

  /** The last version before the last run; 0 if that is the first run. */
  beforeLast(): number {
    return this.#lastBefore(this.#version);
  }

  /** A caller has named the object. The run that has the name may be damaged or missing. */
  setName(name: string): void {
    this.#name = name;
  }

  /** The object's name, of a stream that has events. @throws StorageDamagedError if no caller has named it, and the run that has the name is gone */
  name(): string {
    if (this.#name !== undefined) return this.#name;
    const [first] = this.#storage.kv.list<Value>({ start: ordinalKey(0), limit: 1 });
    const name = first?.[1].name;
    if (name === undefined) throw new StorageDamagedError(NAMELESS, { version: 1 });
    this.#name = name;
    return name;
  }

  #put(lastVersion: number, value: Value): void {
    this.#storage.kv.put(ordinalKey(lastVersion), value);
  }

  #readVersion(): number {
    return this.#restore?.from ?? this.withHidden;
  }

  /** A write was rolled back. */
  reread(): void {
    this.#version = this.#readVersion();
  }

  /** The last version with the hidden runs. */
  get withHidden(): number {
    const [last] = this.#storage.kv.list<Value>({ start: ordinalKey(0), reverse: true, limit: 1 });
    return last === undefined ? 0 : Number(last[0]);
  }

  /**
   * Puts events in the place of what is stored there, and leaves all other versions. A run that has some of these versions must be damaged, or
   * begin with the first of them.
   *
   * @param name the object's
   * @param lines from `first` on, as `run-text.ts` makes them
   */
  replace(name: string, first: number, lines: readonly string[]): void {
    this.#storage.transactionSync(() => {
      const last = first + lines.length - 1;
      for (const [key] of [...this.#storage.kv.list({ start: ordinalKey(first), end: ordinalKey(last + 1) })]) this.#storage.kv.delete(key);
      this.#putRuns(name, first, lines);
      dropBlocks(this.#storage, first, last);
    });
    this.#version = this.#readVersion();
  }

  /** Deletes all versions after one. The run that has this one must be intact. @param name the object's */
  truncate(name: string, version: number): void {
    const kept = version === 0 ? undefined : this.holding(version);
    this.#storage.transactionSync(() => {
      for (const [key] of [...this.#storage.kv.list({ start: ordinalKey(version + 1) })]) this.#storage.kv.delete(key);
      dropBlocks(this.#storage, version + 1, Number.MAX_SAFE_INTEGER);
      if (kept === undefined || kept.lastVersion === version) return;
      this.#putRuns(name, kept.firstVersion, linesOf(kept.events).slice(0, version - kept.firstVersion + 1));
    });
    this.#version = this.#readVersion();
  }

  #putRuns(name: string, firstVersion: number, lines: readonly string[]): void {
    for (const run of runsOf(lines, firstVersion)) {
      this.#put(run.lastVersion, { events: new TextEncoder().encode(run.events), ...(run.firstVersion === 1 && { name }) });
    }
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

  /** Everything is about to be deleted. */
  forget(): void {
    this.#restore = undefined;
    this.#version = 0;
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
