/**
 * The log's rows by their streams. The index on streams and their versions serves five reads: the head of a stream, the positions of its versions, its
 * lines, the list of streams, and the feed of a few streams.
 */
import { linesOf } from "../objects/run-text.ts";
import { type StoredLines, storedLines } from "../objects/stored-lines.ts";
import { firstPositionOf, intact, type LogRow, type RowEnd, type RowVersions, type Span } from "./log-rows.ts";

export class RowsByStream {
  protected readonly sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.sql = sql;
  }

  /** Streams whose first row is among the next rows after a position, and where these rows end. The rows before it may be lost. */
  begunAfter(position: number, rows: number): { readonly streams: readonly string[]; readonly position: number } {
    const query = "SELECT last_position, stream_id, first_version FROM runs WHERE last_position > ? ORDER BY last_position LIMIT ?";
    const found = this.sql.exec<Pick<LogRow, "last_position" | "stream_id" | "first_version">>(query, position, rows).toArray();
    return {
      streams: found.filter((row) => row.first_version === 1 || this.#isFirst(row)).map(({ stream_id }) => stream_id),
      position: found.at(-1)?.last_position ?? position,
    };
  }

  #isFirst({ stream_id, first_version }: Pick<LogRow, "stream_id" | "first_version">): boolean {
    const query = "SELECT 1 FROM runs WHERE stream_id = ? AND last_version < ? LIMIT 1";
    return this.sql.exec(query, stream_id, first_version).toArray().length === 0;
  }

  /** The version of a stream up to which the log has it; 0 if the log has none of it. */
  headOf(streamId: string): number {
    const query = "SELECT last_version FROM runs WHERE stream_id = ? ORDER BY last_version DESC LIMIT 1";
    return this.sql.exec<{ last_version: number }>(query, streamId).toArray()[0]?.last_version ?? 0;
  }

  /** The lines of a stream's versions from `from` on, for its object. */
  storedLinesOf(streamId: string, from: number): StoredLines {
    const head = this.headOf(streamId);
    return storedLines(head, from, head, this.#intactRunsOf(streamId, from));
  }

  /** The intact rows of a stream that have versions from `from` on, in order. */
  *#intactRunsOf(streamId: string, from: number): Generator<{ firstVersion: number; lastVersion: number; events: string }> {
    const query = "SELECT * FROM runs WHERE stream_id = ? AND last_version >= ? ORDER BY last_version";
    for (const row of this.sql.exec<LogRow>(query, streamId, from)) {
      if (intact(row) !== undefined) yield { firstVersion: row.first_version, lastVersion: row.last_version, events: row.events };
    }
  }

  /** The lines of a stream's versions from `from` to `to`, as far as the log has them and they are not damaged. */
  *intactLinesOf(streamId: string, from: number, to: number): Generator<{ readonly version: number; readonly line: string }> {
    const query = "SELECT * FROM runs WHERE stream_id = ? AND last_version >= ? AND first_version <= ? ORDER BY last_version";
    for (const row of this.sql.exec<LogRow>(query, streamId, from, to)) {
      if (intact(row) === undefined) continue;
      for (const [i, line] of linesOf(row.events).entries()) {
        const version = row.first_version + i;
        if (version >= from && version <= to) yield { version, line };
      }
    }
  }

  /** The rows of a stream that have versions from `from` to `to`, in version order. */
  spansOf(streamId: string, from: number, to: number): Span[] {
    const query = `SELECT first_version, last_version, last_position FROM runs
      WHERE stream_id = ? AND last_version >= ? AND first_version <= ? ORDER BY last_version`;
    return this.sql
      .exec<Pick<LogRow, "first_version" | "last_version" | "last_position">>(query, streamId, from, to)
      .toArray()
      .map((row) => ({
        firstVersion: row.first_version,
        lastVersion: row.last_version,
        firstPosition: firstPositionOf(row),
      }));
  }

  /** The ends of a stream's rows after a version, in order, `limit` of them at most. */
  endsOf(streamId: string, version: number, limit: number): RowVersions[] {
    const query = `SELECT first_version, last_version, last_position FROM runs
      WHERE stream_id = ? AND last_version > ? ORDER BY last_version LIMIT ?`;
    return this.sql.exec<RowVersions>(query, streamId, version, limit).toArray();
  }

  /** The last version of a stream's last row that ends at or before a position. Both grow together, so a binary search finds it. */
  versionBy(streamId: string, position: number): number {
    if (position === 0) return 0;
    const last = "SELECT last_version, last_position FROM runs WHERE stream_id = ? ORDER BY last_version DESC LIMIT 1";
    const [end] = this.sql.exec<RowEnd>(last, streamId).toArray();
    if (end === undefined || end.last_position <= position) return end?.last_version ?? 0;
    let from = 0;
    let to = end.last_version - 1;
    while (from < to) {
      const middle = Math.ceil((from + to) / 2);
      const [row] = this.endsOf(streamId, middle - 1, 1);
      if (row !== undefined && row.last_position <= position) from = row.last_version;
      else to = middle - 1;
    }
    return from;
  }

  /** The streams whose ids are from `from` on and before `to`, with their heads, in order; `limit` of them at most. */
  streamsBetween(from: string, to: string, limit: number): { readonly streamId: string; readonly version: number }[] {
    // One statement for all of them: each takes longer to begin than to find a stream. `min` and `max` would read all rows of a stream here.
    const query = `WITH RECURSIVE found (id, place) AS (
        SELECT (SELECT stream_id FROM runs WHERE stream_id >= ?1 AND stream_id < ?2 ORDER BY stream_id LIMIT 1), 1
        UNION ALL
        SELECT (SELECT stream_id FROM runs WHERE stream_id > id AND stream_id < ?2 ORDER BY stream_id LIMIT 1), place + 1
          FROM found WHERE id IS NOT NULL AND place < ?3
      )
      SELECT id, (SELECT last_version FROM runs WHERE stream_id = id ORDER BY last_version DESC LIMIT 1) AS version
        FROM found WHERE id IS NOT NULL`;
    const found = this.sql.exec<{ id: string; version: number }>(query, from, to, limit).toArray();
    return found.map(({ id, version }) => ({ streamId: id, version }));
  }
}
