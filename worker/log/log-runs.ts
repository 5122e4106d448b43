/**
 * What a log's object stores: the log's id, and one row for each published run. `log-object.ts` decides which runs become rows.
 *
 *     runs:  last_position │ stream_id, first_version, last_version │ events │ mark
 *            primary key   │ index on (stream_id, last_version)     │        │ the log's mark at last_position (`shared/mark.ts`)
 *
 * Memory holds the head and its mark. The reads by streams are in `rows-by-stream.ts`.
 *
 * Whoever reads events of a row gets them from `intact` (`log-rows.ts`), which checks them by their digests (`run-text.ts`).
 */
import { markAfter, START_MARK } from "../../shared/mark.ts";
import type { Places } from "../../shared/places.ts";
import { idOf, linesOf } from "../objects/run-text.ts";
import { COLUMNS, damagedAt, firstPositionOf, intact, type LogRow, type RowPlace, type Span } from "./log-rows.ts";
import { OUTLINES_TABLE, Outlines } from "./outlines.ts";
import { RowsByStream } from "./rows-by-stream.ts";

export class LogRuns extends RowsByStream {
  readonly outlines: Outlines;
  readonly #storage: DurableObjectStorage;
  readonly #log: string;
  #head = 0;
  /** The mark at the head. */
  #mark = START_MARK;
  /** How many streams there are; undefined until somebody wants to know. */
  #streams: number | undefined;
  /** Positions that no row has, in order; undefined until somebody wants to know. */
  #missing: readonly Places[] | undefined;

  constructor(storage: DurableObjectStorage) {
    super(storage.sql);
    this.#storage = storage;
    this.outlines = new Outlines(storage.sql);
    this.#log = storage.transactionSync(() => this.#begin());
    this.readEnd();
  }

  /** The head and its mark, after the table was replaced. To be called in `transaction`. */
  readEnd(): void {
    const last = this.#rowBy(Number.MAX_SAFE_INTEGER);
    this.#head = last.last_position;
    this.#mark = last.mark;
    this.#streams = undefined;
    this.#missing = undefined;
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
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS meta (log TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS runs (${COLUMNS});
      CREATE UNIQUE INDEX IF NOT EXISTS runs_by_stream ON runs (stream_id, last_version);
      ${OUTLINES_TABLE};
    `);
    this.#addMarks();
    const [known] = this.sql.exec<{ log: string }>("SELECT log FROM meta").toArray();
    if (known !== undefined) return known.log;
    const log = crypto.randomUUID();
    this.sql.exec("INSERT INTO meta (log) VALUES (?)", log);
    return log;
  }

  /** Adds marks to a log of a version that had none. */
  #addMarks(): void {
    if (this.sql.exec("SELECT 1 FROM pragma_table_info('runs') WHERE name = 'mark'").toArray().length > 0) return;
    this.sql.exec("ALTER TABLE runs ADD COLUMN mark TEXT NOT NULL DEFAULT ''");
    let mark = START_MARK;
    for (let row = this.#rowAfter(0); row !== undefined; row = this.#rowAfter(row.last_position)) {
      mark = markAfter(mark, linesOf(row.events).map(idOf));
      this.sql.exec("UPDATE runs SET mark = ? WHERE last_position = ?", mark, row.last_position);
    }
  }

  /** Runs `work` in one transaction. If it throws, neither the storage nor the head in memory changes. @throws what `work` throws */
  transaction<T>(work: () => T): T {
    const before = { head: this.#head, mark: this.#mark, streams: this.#streams };
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#head = before.head;
      this.#mark = before.mark;
      this.#streams = before.streams;
      this.#missing = undefined;
      throw error;
    }
  }

  /** Adds events of one stream at the end of the log. To be called in `transaction`. */
  add(streamId: string, firstVersion: number, lines: readonly string[]): Span {
    const firstPosition = this.#head + 1;
    const lastPosition = this.#head + lines.length;
    const lastVersion = firstVersion + lines.length - 1;
    const mark = markAfter(this.#mark, lines.map(idOf));
    this.#insert({
      last_position: lastPosition,
      stream_id: streamId,
      first_version: firstVersion,
      last_version: lastVersion,
      events: lines.join("\n"),
      mark,
    });
    this.#head = lastPosition;
    this.#mark = mark;
    if (firstVersion === 1 && this.#streams !== undefined) this.#streams++;
    return { firstVersion, lastVersion, firstPosition };
  }

  /**
   * Gives events of one stream the positions back that they had, if rows were lost there: from the mark before such positions, the ids of the
   * events have to lead to the mark of the row behind. To be called in `transaction`.
   *
   * @param firstVersion behind the stream's last version in the log
   * @returns where the first of the events are again; none if no lost row is known to have had them
   */
  refill(streamId: string, firstVersion: number, lines: readonly string[]): Span[] {
    const refilled: Span[] = [];
    let next = 0;
    for (const { first, last } of this.#missingPlaces()) {
      const part = lines.slice(next, next + last - first + 1);
      const mark = part.length > 0 ? this.#markOf({ first, last }, part.map(idOf)) : undefined;
      if (mark === undefined) continue;
      const begin = firstVersion + next;
      next += part.length;
      const version = { first_version: begin, last_version: firstVersion + next - 1 };
      this.#insert({ last_position: last, stream_id: streamId, ...version, events: part.join("\n"), mark });
      refilled.push({ firstVersion: begin, lastVersion: version.last_version, firstPosition: first });
    }
    if (refilled.length > 0) this.readEnd();
    return refilled;
  }

  /** The mark behind lost positions, if events with these ids were there; else undefined. */
  #markOf({ first, last }: Places, ids: readonly string[]): string | undefined {
    const row = this.#rowAfter(last);
    const next = row === undefined ? undefined : intact(row);
    if (ids.length !== last - first + 1 || row === undefined || next === undefined) return undefined;
    const mark = markAfter(this.#rowBy(first - 1).mark, ids);
    const atNext = markAfter(
      mark,
      next.map(({ content }) => idOf(content)),
    );
    return atNext === row.mark ? mark : undefined;
  }

  #missingPlaces(): readonly Places[] {
    this.#missing ??= this.#missingBetween(0, this.#head);
    return this.#missing;
  }

  /** Positions after `from` and up to `to` that no row has. */
  #missingBetween(from: number, to: number): readonly Places[] {
    const missing: Places[] = [];
    let at = from;
    for (const row of this.placesAfter(from)) {
      const before = Math.min(firstPositionOf(row) - 1, to);
      if (before > at) missing.push({ first: at + 1, last: before });
      at = row.last_position;
      if (at >= to) break;
    }
    return missing;
  }

  /** Positions after `from` and up to `to` that can't be read: those that no row has, or, if each has one, those of damaged rows. */
  unreadable(from: number, to: number): readonly Places[] {
    const missing = this.#missingBetween(from, to);
    if (missing.length > 0) return missing;
    const damaged: Places[] = [];
    for (const row of this.rowsAfter(from)) {
      if (row.last_position > to) break;
      if (intact(row) === undefined) damaged.push({ first: Math.max(firstPositionOf(row), from + 1), last: row.last_position });
    }
    return damaged;
  }

  /**
   * A row has the mark at its end; for a position within a row it is computed from the row before.
   *
   * @param position from 0 to the head
   * @throws StorageDamagedError if the row that has the position is damaged or missing
   */
  markAt(position: number): string {
    if (position === this.#head) return this.#mark;
    const { last_position, mark } = this.#rowBy(position);
    if (last_position === position) return mark;
    const row = this.#rowAfter(position);
    const lines = row !== undefined && firstPositionOf(row) === last_position + 1 ? intact(row) : undefined;
    if (lines === undefined) throw damagedAt(last_position + 1, row?.last_position ?? position);
    return markAfter(
      mark,
      lines.slice(0, position - last_position).map(({ content }) => idOf(content)),
    );
  }

  /** The end of the last row that ends at or before a position, and the mark there. */
  #rowBy(position: number): Pick<LogRow, "last_position" | "mark"> {
    const query = "SELECT last_position, mark FROM runs WHERE last_position <= ? ORDER BY last_position DESC LIMIT 1";
    const [row] = this.sql.exec<Pick<LogRow, "last_position" | "mark">>(query, position).toArray();
    return row ?? { last_position: 0, mark: START_MARK };
  }

  /** The first row that has an event after a position. */
  #rowAfter(position: number): LogRow | undefined {
    return this.sql.exec<LogRow>("SELECT * FROM runs WHERE last_position > ? ORDER BY last_position LIMIT 1", position).toArray()[0];
  }

  /** The rows that have events after a position, in order. Each is read when it is its turn. */
  rowsAfter(position: number): Iterable<LogRow> {
    return this.sql.exec<LogRow>("SELECT * FROM runs WHERE last_position > ? ORDER BY last_position", position);
  }

  /** The position at which the last row before a position ends. */
  endBefore(position: number): number {
    return this.#rowBy(position - 1).last_position;
  }

  /** The position at which the first row ends that has an event after a position; undefined if there is none. */
  endAfter(position: number): number | undefined {
    const query = "SELECT last_position FROM runs WHERE last_position > ? ORDER BY last_position LIMIT 1";
    return this.sql.exec<Pick<LogRow, "last_position">>(query, position).toArray()[0]?.last_position;
  }

  /** The row that ends at this position, if there is one. */
  rowAt(end: number): LogRow | undefined {
    return this.sql.exec<LogRow>("SELECT * FROM runs WHERE last_position = ?", end).toArray()[0];
  }

  /** Which rows have events after a position, without the events, in order. Each is read when it is its turn. */
  placesAfter(position: number): Iterable<RowPlace> {
    const query = "SELECT last_position, stream_id, first_version, last_version FROM runs WHERE last_position > ? ORDER BY last_position";
    return this.sql.exec<RowPlace>(query, position);
  }

  /**
   * Puts rows in the place of those that end at some positions. To be called in `transaction`.
   *
   * @param end the row behind them, and the mark that it is to have
   */
  replace({ first, last }: Places, rows: readonly LogRow[], end: { readonly position: number; readonly mark: string } | undefined): void {
    this.sql.exec("DELETE FROM runs WHERE last_position >= ? AND last_position <= ?", first, last);
    for (const row of rows) this.#insert(row);
    this.outlines.drop({ first, last: end?.position ?? last });
    if (end !== undefined) this.sql.exec("UPDATE runs SET mark = ? WHERE last_position = ?", end.mark, end.position);
    this.readEnd();
  }

  #insert({ last_position, stream_id, first_version, last_version, events, mark }: LogRow): void {
    const row = [last_position, stream_id, first_version, last_version, events, mark];
    this.sql.exec("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", ...row);
  }

  /** Counted once after a wake: a count reads an index row for each run. */
  countStreams(): number {
    this.#streams ??= this.sql.exec<{ streams: number }>("SELECT count(DISTINCT stream_id) AS streams FROM runs").one().streams;
    return this.#streams;
  }
}
