/**
 * What a log's object stores: the log's id, and one row for each published run. `log-object.ts` decides which runs become rows.
 *
 *     runs:  last_position │ stream_id, first_version, last_version │ events │ mark
 *            primary key   │ index on (stream_id, last_version)     │        │ the log's mark at last_position (`shared/mark.ts`)
 *
 * The index serves four reads: the head of a stream, the positions of a stream's versions, the list of streams, and the feed of a few
 * streams. Memory holds the head and its mark.
 */
import { markAfter, START_MARK } from "../../shared/mark.ts";
import { idOf, linesOf } from "../objects/run-text.ts";

/** A row of the table `runs`. */
export type LogRow = {
  last_position: number;
  stream_id: string;
  first_version: number;
  last_version: number;
  /** As `run-text.ts` makes them. */
  events: string;
  mark: string;
};

/** Of a table of runs. */
export const COLUMNS = `
  last_position INTEGER PRIMARY KEY,
  stream_id TEXT NOT NULL,
  first_version INTEGER NOT NULL,
  last_version INTEGER NOT NULL,
  events TEXT NOT NULL,
  mark TEXT NOT NULL
`;

/** Versions of one stream that are next to each other in the log. */
export interface Span {
  readonly firstVersion: number;
  readonly lastVersion: number;
  readonly firstPosition: number;
}

export class LogRuns {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #log: string;
  #head = 0;
  /** The mark at the head. */
  #mark = START_MARK;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#log = storage.transactionSync(() => this.#begin());
    this.readEnd();
  }

  /** The head and its mark, after the table was replaced. To be called in `transaction`. */
  readEnd(): void {
    const last = this.#rowBy(Number.MAX_SAFE_INTEGER);
    this.#head = last.last_position;
    this.#mark = last.mark;
  }

  /** The log's id. */
  get log(): string {
    return this.#log;
  }

  get head(): number {
    return this.#head;
  }

  /** The log's mark at the head. */
  get mark(): string {
    return this.#mark;
  }

  /** The log's id is made with its tables, at the first request of any kind: a device may follow a log that is still empty. */
  #begin(): string {
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS meta (log TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS runs (${COLUMNS});
      CREATE UNIQUE INDEX IF NOT EXISTS runs_by_stream ON runs (stream_id, last_version);
    `);
    this.#addMarks();
    const [known] = this.#sql.exec<{ log: string }>("SELECT log FROM meta").toArray();
    if (known !== undefined) return known.log;
    const log = crypto.randomUUID();
    this.#sql.exec("INSERT INTO meta (log) VALUES (?)", log);
    return log;
  }

  /** Adds marks to a log of a version that had none. */
  #addMarks(): void {
    if (this.#sql.exec("SELECT 1 FROM pragma_table_info('runs') WHERE name = 'mark'").toArray().length > 0) return;
    this.#sql.exec("ALTER TABLE runs ADD COLUMN mark TEXT NOT NULL DEFAULT ''");
    let mark = START_MARK;
    for (let row = this.#rowAfter(0); row !== undefined; row = this.#rowAfter(row.last_position)) {
      mark = markAfter(mark, linesOf(row.events).map(idOf));
      this.#sql.exec("UPDATE runs SET mark = ? WHERE last_position = ?", mark, row.last_position);
    }
  }

  /** Runs `work` in one transaction. If it throws, neither the storage nor the head in memory changes. @throws what `work` throws */
  transaction<T>(work: () => T): T {
    const before = { head: this.#head, mark: this.#mark };
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#head = before.head;
      this.#mark = before.mark;
      throw error;
    }
  }

  /** Adds events of one stream at the end of the log. To be called in `transaction`. */
  add(streamId: string, firstVersion: number, lines: readonly string[]): Span {
    const firstPosition = this.#head + 1;
    const lastPosition = this.#head + lines.length;
    const lastVersion = firstVersion + lines.length - 1;
    const mark = markAfter(this.#mark, lines.map(idOf));
    const row = [lastPosition, streamId, firstVersion, lastVersion, lines.join("\n"), mark];
    this.#sql.exec("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", ...row);
    this.#head = lastPosition;
    this.#mark = mark;
    return { firstVersion, lastVersion, firstPosition };
  }

  /** @param position from 0 to the head. A row has the mark at its end; for a position within a row it is computed from the row before */
  markAt(position: number): string {
    if (position === this.#head) return this.#mark;
    const { last_position, mark } = this.#rowBy(position);
    if (last_position === position) return mark;
    const lines = linesOf(this.#rowAfter(position)?.events ?? "");
    return markAfter(mark, lines.slice(0, position - last_position).map(idOf));
  }

  /** The end of the last row that ends at or before a position, and the mark there. */
  #rowBy(position: number): Pick<LogRow, "last_position" | "mark"> {
    const query = "SELECT last_position, mark FROM runs WHERE last_position <= ? ORDER BY last_position DESC LIMIT 1";
    const [row] = this.#sql.exec<Pick<LogRow, "last_position" | "mark">>(query, position).toArray();
    return row ?? { last_position: 0, mark: START_MARK };
  }

  /** The first row that has an event after a position. */
  #rowAfter(position: number): LogRow | undefined {
    return this.#sql.exec<LogRow>("SELECT * FROM runs WHERE last_position > ? ORDER BY last_position LIMIT 1", position).toArray()[0];
  }

  /** The rows that have events after a position, in order. Each is read when it is its turn. */
  rowsAfter(position: number): Iterable<LogRow> {
    return this.#sql.exec<LogRow>("SELECT * FROM runs WHERE last_position > ? ORDER BY last_position", position);
  }

  /** The rows that end at these positions. Each is read when it is its turn. */
  *rowsAt(ends: readonly number[]): Generator<LogRow> {
    for (const end of ends) yield this.#sql.exec<LogRow>("SELECT * FROM runs WHERE last_position = ?", end).one();
  }

  /** The version of a stream up to which the log has it; 0 if the log has none of it. */
  headOf(streamId: string): number {
    const query = "SELECT last_version FROM runs WHERE stream_id = ? ORDER BY last_version DESC LIMIT 1";
    return this.#sql.exec<{ last_version: number }>(query, streamId).toArray()[0]?.last_version ?? 0;
  }

  /** The rows of a stream that have versions from `from` to `to`, in version order. */
  spansOf(streamId: string, from: number, to: number): Span[] {
    const query = `SELECT first_version, last_version, last_position FROM runs
      WHERE stream_id = ? AND last_version >= ? AND first_version <= ? ORDER BY last_version`;
    return this.#sql
      .exec<Pick<LogRow, "first_version" | "last_version" | "last_position">>(query, streamId, from, to)
      .toArray()
      .map((row) => ({
        firstVersion: row.first_version,
        lastVersion: row.last_version,
        firstPosition: row.last_position - (row.last_version - row.first_version),
      }));
  }

  /** Last positions of a stream's rows that end after a position, in order, `limit` of them at most. */
  endsOf(streamId: string, position: number, limit: number): number[] {
    const query = "SELECT last_position FROM runs WHERE stream_id = ? AND last_version > ? ORDER BY last_version LIMIT ?";
    const rows = this.#sql.exec<Pick<LogRow, "last_position">>(query, streamId, this.#versionBy(streamId, position), limit);
    return rows.toArray().map(({ last_position }) => last_position);
  }

  /** The last version of a stream's last row that ends at or before a position. Both grow together, so a binary search finds it. */
  #versionBy(streamId: string, position: number): number {
    type Ends = Pick<LogRow, "last_version" | "last_position">;
    const last = "SELECT last_version, last_position FROM runs WHERE stream_id = ? ORDER BY last_version DESC LIMIT 1";
    const first = "SELECT last_version, last_position FROM runs WHERE stream_id = ? AND last_version >= ? ORDER BY last_version LIMIT 1";
    const [end] = this.#sql.exec<Ends>(last, streamId).toArray();
    if (end === undefined || end.last_position <= position) return end?.last_version ?? 0;
    let from = 0;
    let to = end.last_version - 1;
    while (from < to) {
      const middle = Math.ceil((from + to) / 2);
      const row = this.#sql.exec<Ends>(first, streamId, middle).one();
      if (row.last_position <= position) from = row.last_version;
      else to = middle - 1;
    }
    return from;
  }

  /** The first stream whose id is after `after`, from `from` on, and before `to`, with its head; undefined if there is none. */
  nextStream(after: string, from: string, to: string): { streamId: string; version: number } | undefined {
    const query = `SELECT stream_id, max(last_version) AS last_version FROM runs
      WHERE stream_id = (SELECT min(stream_id) FROM runs WHERE stream_id > ?1 AND stream_id >= ?2 AND stream_id < ?3)`;
    const row = this.#sql.exec<{ stream_id: string | null; last_version: number }>(query, after, from, to).one();
    return row.stream_id === null ? undefined : { streamId: row.stream_id, version: row.last_version };
  }

  countStreams(): number {
    return this.#sql.exec<{ streams: number }>("SELECT count(DISTINCT stream_id) AS streams FROM runs").one().streams;
  }
}
