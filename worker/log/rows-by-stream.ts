/**
 * The log's rows by their streams. The index on streams and their versions serves five reads: the head of a stream, the positions of its versions, its
 * lines, the list of streams, and the feed of a few streams.
 */
import { linesOf } from "../objects/run-text.ts";
import { type StoredLines, storedLines } from "../objects/stored-lines.ts";
import { firstPositionOf, intact, type LogRow, type RowVersions, type Span } from "./log-rows.ts";

/** Where a reader is in a stream. */
export interface StreamPlace {
  readonly streamId: string;
  /** The last version of the stream's last row that ends at or before the reader's position; 0 if there is none. */
  readonly version: number;
  /** The row behind it; undefined if there is none. */
  readonly next: RowVersions | undefined;
}

type Nullable<Row> = { [Column in keyof Row]: Row[Column] | null };

/** Of a row that may have been joined with none. */
function isRow(row: Nullable<RowVersions>): row is RowVersions {
  return row.last_position !== null;
}

/** The rows of a stream `?1` that have versions from `?2` to `?3`. Without the row that has the last of them, all behind it would be read. */
const IN_VERSIONS = `stream_id = ?1 AND last_version >= ?2 AND first_version <= ?3 AND last_version <= coalesce(
  (SELECT last_version FROM runs WHERE stream_id = ?1 AND last_version >= ?3 ORDER BY last_version LIMIT 1), ?3) ORDER BY last_version`;

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
    for (const row of this.sql.exec<LogRow>(`SELECT * FROM runs WHERE ${IN_VERSIONS}`, streamId, from, to)) {
      if (intact(row) === undefined) continue;
      for (const [i, line] of linesOf(row.events).entries()) {
        const version = row.first_version + i;
        if (version >= from && version <= to) yield { version, line };
      }
    }
  }

  /** The rows of a stream that have versions from `from` to `to`, in version order. */
  spansOf(streamId: string, from: number, to: number): Span[] {
    const query = `SELECT first_version, last_version, last_position FROM runs WHERE ${IN_VERSIONS}`;
    return this.sql
      .exec<Pick<LogRow, "first_version" | "last_version" | "last_position">>(query, streamId, from, to)
      .toArray()
      .map((row) => ({
        firstVersion: row.first_version,
        lastVersion: row.last_version,
        firstPosition: firstPositionOf(row),
      }));
  }

  /** The same, and the stream's last row, without what is behind the version `end`. */
  spansWithLast(streamId: string, from: number, to: number, end: number): Span[] {
    const spans = this.spansOf(streamId, from, Math.min(to, end));
    const last = Math.min(this.headOf(streamId), end);
    const behind = last > (spans.at(-1)?.lastVersion ?? 0) ? this.spansOf(streamId, last, last) : [];
    return [...spans, ...behind].map((span) => ({ ...span, lastVersion: Math.min(span.lastVersion, end) }));
  }

  /** The ends of a stream's rows after a version, in order, `limit` of them at most. */
  endsOf(streamId: string, version: number, limit: number): RowVersions[] {
    const query = `SELECT first_version, last_version, last_position FROM runs
      WHERE stream_id = ? AND last_version > ? ORDER BY last_version LIMIT ?`;
    return this.sql.exec<RowVersions>(query, streamId, version, limit).toArray();
  }

  /** Where a reader at a position is in some streams. Versions and positions grow together, so a binary search finds it, for all in one statement. */
  placesIn(streamIds: readonly string[], position: number): StreamPlace[] {
    const query = `WITH RECURSIVE search (id, low, high) AS (
        SELECT value, 0, iif(?2 = 0, 0, coalesce((SELECT last_version FROM runs WHERE stream_id = value ORDER BY last_version DESC LIMIT 1), 0))
          FROM json_each(?1)
        UNION ALL
        SELECT id, iif(last_position <= ?2, last_version, low), iif(last_position <= ?2, high, (low + high + 1) / 2 - 1)
          FROM search JOIN runs ON last_position =
            (SELECT last_position FROM runs WHERE stream_id = id AND last_version >= (low + high + 1) / 2 ORDER BY last_version LIMIT 1)
          WHERE low < high
      )
      SELECT id, low AS version, first_version, last_version, last_position FROM search LEFT JOIN runs ON last_position =
        (SELECT last_position FROM runs WHERE stream_id = id AND last_version > low ORDER BY last_version LIMIT 1) WHERE low = high`;
    const rows = this.sql
      .exec<{ id: string; version: number } & Nullable<RowVersions>>(query, JSON.stringify(streamIds), position)
      .toArray();
    return rows.map(({ id, version, ...next }) => ({ streamId: id, version, next: isRow(next) ? next : undefined }));
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
