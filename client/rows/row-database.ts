/**
 * The rows of one version of a projection, in a separate database. It has the projection's indexes, and can be created and deleted without
 * an upgrade of the store's database.
 *
 *     rows   key: the row's     { key, row }, with one index for each index of the projection, on the row's field
 *     meta   `checkpoint`       the position up to which the feed is folded into the rows, written with them in one transaction
 */

import type { DBSchema, IDBPDatabase, IDBPTransaction } from "idb";
import { type AnyProjection, type Folded, type FoldStart, type FoundRow, type RowQuery, UNFOLDED } from "../../shared/device/projection.ts";
import { UnavailableError } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";
import type { StoreInternals } from "../internals.ts";
import { Connection } from "../storage/connection.ts";
import type { Database } from "../storage/database.ts";
import { whole } from "../storage/device-log.ts";
import { between, renewLog } from "../storage/idb.ts";

interface Schema extends DBSchema {
  rows: { key: string; value: FoundRow<unknown>; indexes: Record<string, string | number> };
  meta: { key: "checkpoint"; value: Folded };
}

type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, ("rows" | "meta")[], M>;

interface FoldedPage extends Pick<FoldStart, "isAnew"> {
  /** The checkpoint when the work started. */
  readonly before: Folded;
  readonly after: Folded;
}

export interface StoredRows {
  readonly rows: Map<string, unknown>;
  /** The checkpoint of these rows. */
  readonly checkpoint: Folded;
}

export class RowDatabase {
  readonly #database: Database;
  readonly #connection: Connection<Schema>;
  #isGone = false;

  /** @param onGone called when somebody deletes the database. The next use makes it anew, without rows. */
  constructor(
    { name, platform, database }: Pick<StoreInternals, "name" | "platform" | "database">,
    projection: AnyProjection,
    onGone: () => void,
  ) {
    this.#database = database;
    this.#connection = new Connection<Schema>({
      platform,
      name: rowsName(name, projection.name, projection.version),
      version: 1,
      upgrade(db) {
        const rows = db.createObjectStore("rows", { keyPath: "key" });
        for (const index of projection.indexes ?? []) rows.createIndex(index, `row.${index}`);
        db.createObjectStore("meta");
      },
      onReplaced: () => {
        this.#isGone = true;
        onGone();
      },
      onReopened: () => undefined, // nothing is remembered of it
      prepare: (indexedDB) => renewLog(indexedDB, `${name}~`),
    });
  }

  /** True if somebody has deleted the database since it was opened. */
  get isGone(): boolean {
    return this.#isGone;
  }

  close(): void {
    void this.#connection.close(
      "The store was closed, or another version of this projection was opened. Use the table of the latest `project` call.",
    );
  }

  async checkpoint(): Promise<Folded> {
    return (await this.rowsOf([])).checkpoint;
  }

  /**
   * Writes the rows that `fold` returns, and the checkpoint, in one transaction.
   *
   * @param fold gets the stored rows of these keys, and returns their new rows; undefined deletes a row
   * @returns false if another tab has moved the checkpoint meanwhile: nothing is written
   */
  async fold(
    { before, after, isAnew }: FoldedPage,
    keys: ReadonlySet<string>,
    fold: (rows: ReadonlyMap<string, unknown>) => ReadonlyMap<string, unknown>,
  ): Promise<boolean> {
    return this.#run((db) => {
      const tx: Tx<"readwrite"> = db.transaction(["rows", "meta"], "readwrite", { durability: "relaxed" });
      return whole(tx, async () => {
        const { rows: stored, checkpoint } = await readRows(tx, isAnew ? [] : keys);
        if (!sameJson(checkpoint, before)) return false;
        const rows = tx.objectStore("rows");
        if (isAnew) await rows.clear();
        const writes = [...fold(stored)].map(([key, row]) => (row === undefined ? rows.delete(key) : rows.put({ key, row })));
        await Promise.all([...writes, tx.objectStore("meta").put(after, "checkpoint")]);
        return true;
      });
    });
  }

  /**
   * The rows that a query finds, and their checkpoint.
   *
   * @param most how many of them to read. Default: the query's limit
   * @throws UnavailableError if the rows have no such index, because they are those of a previous version
   */
  async find(query: RowQuery, most = query.limit ?? Number.POSITIVE_INFINITY): Promise<{ found: FoundRow<unknown>[]; checkpoint: Folded }> {
    const { index, direction } = query;
    return this.#run(async (db) => {
      const tx = db.transaction(["rows", "meta"], "readonly");
      const rows = tx.objectStore("rows");
      if (index !== undefined && !rows.indexNames.contains(index)) {
        const message = `The projection is being rebuilt, and the rows of its previous version have no index ${index}.`;
        throw new UnavailableError(`${message} Query again when its status is "ready".`);
      }
      const source = index === undefined ? rows : rows.index(index);
      const range = rangeOf(tx, query);
      const count = Number.isFinite(most) ? most : undefined;
      const reading = direction === "backwards" ? readBackwards(source, range, count) : source.getAll(range, count);
      const [found, checkpoint] = await Promise.all([reading, tx.objectStore("meta").get("checkpoint")]);
      return { found, checkpoint: checkpoint ?? UNFOLDED };
    });
  }

  /** The rows of these keys as they are stored. */
  async rowsOf(keys: Iterable<string>): Promise<StoredRows> {
    return this.#run((db) => readRows(db.transaction(["rows", "meta"], "readonly"), keys));
  }

  /** Only while the store itself is open, and its database is not one of a newer version. */
  #run<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    return this.#database.run(() => this.#connection.run(work));
  }
}

async function readRows(tx: Tx<IDBTransactionMode>, keys: Iterable<string>): Promise<StoredRows> {
  const rows = tx.objectStore("rows");
  const [checkpoint, ...stored] = await Promise.all([
    tx.objectStore("meta").get("checkpoint"),
    ...[...keys].map(async (key) => [key, (await rows.get(key))?.row] as const),
  ]);
  return { rows: new Map(stored), checkpoint: checkpoint ?? UNFOLDED };
}

export function rowsName(store: string, projection: string, version: number): string {
  return `${store}/${projection}@${version}`;
}

function rangeOf(tx: Tx<"readonly">, { equals, from, to }: RowQuery): IDBKeyRange | undefined {
  if (equals !== undefined) return between(tx, equals, equals);
  // IndexedDB sorts numbers before strings, and strings before arrays.
  return from === undefined && to === undefined ? undefined : between(tx, from ?? Number.NEGATIVE_INFINITY, to ?? []);
}

interface Readable {
  openCursor(
    range: IDBKeyRange | undefined,
    direction: "prev",
  ): Promise<{ readonly value: FoundRow<unknown>; continue(): Promise<unknown> } | null>;
}

async function readBackwards(
  source: Readable,
  range: IDBKeyRange | undefined,
  most = Number.POSITIVE_INFINITY,
): Promise<FoundRow<unknown>[]> {
  const found: FoundRow<unknown>[] = [];
  for (let cursor = await source.openCursor(range, "prev"); cursor !== null && found.length < most; ) {
    found.push(cursor.value);
    cursor = (await cursor.continue()) as typeof cursor;
  }
  return found;
}
