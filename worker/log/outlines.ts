/**
 * The outlines of the log's blocks (`shared/edge/outline.ts`), as its object stores them. A search makes them as it looks through blocks in vain, so
 * a store whose readers have no filters has none.
 *
 *     outlines:  block │ after, last_position │ mark │ facts │ digest │ correlations
 *                      │ (after, …]           │      └── an outline, and the digest of the correlations
 *                      └── of the block's rows, and the log's mark there
 *
 * They are derived from the rows. One that is damaged, or of a history that the log does not have any more, is made again.
 */
import { Correlations, OUTLINED, type Outline, type Outliner, outlinedBlock } from "../../shared/edge/outline.ts";
import { digestOfBytes, textDigest } from "../../shared/event/digest.ts";
import type { Places } from "../../shared/places.ts";
import { logFault } from "../report/journal.ts";
import { isFull } from "../report/platform-error.ts";

type OutlineRow = {
  block: number;
  after: number;
  last_position: number;
  mark: string;
  facts: string;
  digest: string;
};

interface Facts extends Outline {
  /** The digest of the correlations. */
  readonly correlations: string;
}

/** The outline of a block. */
export interface OutlinedBlock {
  readonly outline: Outline;
  /** Where its last row ends. */
  readonly end: number;
  /** Undefined if they are damaged. */
  correlations(): Correlations | undefined;
}

/** The statement that makes their table. */
export const OUTLINES_TABLE = `CREATE TABLE IF NOT EXISTS outlines (
  block INTEGER PRIMARY KEY,
  after INTEGER NOT NULL,
  last_position INTEGER NOT NULL,
  mark TEXT NOT NULL,
  facts TEXT NOT NULL,
  digest TEXT NOT NULL,
  correlations BLOB NOT NULL
)`;

export class Outlines {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Of the block that has the next row behind a position, and of those behind it, up to the first that has no outline. */
  *after(position: number): Generator<OutlinedBlock, void, undefined> {
    const query = `SELECT block, after, last_position, mark, facts, digest FROM outlines WHERE block >= ?
      AND mark = (SELECT mark FROM runs WHERE runs.last_position = outlines.last_position) ORDER BY block`;
    let at = position;
    for (const row of this.#sql.exec<OutlineRow>(query, Math.floor(position / OUTLINED))) {
      if (row.last_position <= at) continue;
      if (row.after > at || digestOf(row) !== row.digest) return;
      at = row.last_position;
      const { correlations, ...outline }: Facts = JSON.parse(row.facts);
      yield { outline, end: at, correlations: () => this.#correlations(row.block, correlations) };
    }
  }

  #correlations(block: number, digest: string): Correlations | undefined {
    const query = "SELECT correlations FROM outlines WHERE block = ?";
    const [row] = this.#sql.exec<{ correlations: ArrayBuffer }>(query, block).toArray();
    if (row === undefined || digestOfBytes(new Uint8Array(row.correlations)) !== digest) return undefined;
    return Correlations.from(row.correlations);
  }

  /** @param after where the row before the block ends @param end where its last row ends, with the mark there */
  put(outliner: Outliner, after: number, end: { readonly last_position: number; readonly mark: string }): void {
    const { last_position, mark } = end;
    const correlations = outliner.correlations().toBytes();
    const facts = JSON.stringify({ ...outliner.outline(), correlations: digestOfBytes(correlations) } satisfies Facts);
    const row = { block: outlinedBlock(last_position), after, last_position, mark, facts, digest: "" };
    const values = [row.block, after, last_position, mark, facts, digestOf(row), correlations.buffer];
    try {
      this.#sql.exec("INSERT OR REPLACE INTO outlines VALUES (?, ?, ?, ?, ?, ?, ?)", ...values);
    } catch (error) {
      // Who reads goes on without the outline, and the next one tries again. That the storage is full, the appends report.
      if (!isFull(error)) logFault("outline", error);
    }
  }

  clear(): void {
    this.#sql.exec("DELETE FROM outlines");
  }

  /** Other rows take the place of those that end at these positions. To be called in the transaction of the write. */
  drop({ first, last }: Places): void {
    this.#sql.exec("DELETE FROM outlines WHERE last_position >= ? AND after <= ?", first, last);
  }
}

function digestOf({ block, after, last_position, mark, facts }: OutlineRow): string {
  return textDigest(facts, `${block} ${after} ${last_position} ${mark}`);
}
