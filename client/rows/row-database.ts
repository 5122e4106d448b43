/**
 * The rows of one version of a projection, in a database of their own: with indexes of its own, made and deleted without a word to the
 * store's database.
 *
 *     rows   key: the row's     { key, row }, an index for each of the projection's, on the row's field
 *     meta   `checkpoint`       up to where the feed is folded into them, written with the rows in one transaction
 */

import type { DBSchema, IDBPDatabase, IDBPTransaction } from "idb";
import { type AnyProjection, type Folded, type FoldStart, type FoundRow, type RowQuery, UNFOLDED } from "../../shared/device/projection.ts";
import { StoreClosedError, UnavailableError } from "../../shared/errors.ts";
import { sameJson } from "../../shared/json.ts";
import type { StoreInternals } from "../internals.ts";
import { whole } from "../storage/device-log.ts";
import { between, openDatabase } from "../storage/idb.ts";

interface Schema extends DBSchema {
  rows: { key: string; value: FoundRow<unknown>; indexes: Record<string, string | number> };
  meta: { key: "checkpoint"; value: Folded };
}

type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, ("rows" | "meta")[], M>;

interface FoldedPage extends Pick<FoldStart, "isAnew"> {
  /** The checkpoint that the work was begun at. */
  readonly before: Folded;
  readonly after: Folded;
}

interface StoredRows {
  readonly rows: Map<string, unknown>;
  /** Where they stand. */
  readonly checkpoint: Folded;
}

export class RowDatabase {
  readonly #internals: Pick<StoreInternals, "name" | "platform" | "database">;
  readonly #projection: AnyProjection;
  readonly #onGone: () => void;
  #opened: Promise<IDBPDatabase<Schema>> | undefined;
  #isGone = false;
  #isClosed = false;

  /** @param onGone told where somebody deletes it: whoever asks it then makes it anew, without rows */
  constructor(internals: Pick<StoreInternals, "name" | "platform" | "database">, projection: AnyProjection, onGone: () => void) {
    this.#internals = internals;
    this.#projection = projection;
    this.#onGone = onGone;
  }

  /** Somebody has deleted it since it was opened. */
  get isGone(): boolean {
    return this.#isGone;
  }

  close(): void {
    this.#isClosed = true;
    // Where it could not be opened, whoever asked was told.
    void this.#opened?.then((db) => db.close()).catch(() => undefined);
  }

  async checkpoint(): Promise<Folded> {
    return this.#run(async (db) => {
      const tx = db.transaction(["meta"], "readonly");
      return (await tx.objectStore("meta").get("checkpoint")) ?? UNFOLDED;
    });
  }

  /**
   * Writes what `fold` makes of rows, and the checkpoint, in one transaction.
   *
   * @param fold from the rows of these keys to the rows as they are then
   * @returns false where another tab has moved the checkpoint meanwhile
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

  /** Rows and the checkpoint that they stand at. @param more rows beyond the limit, and by their keys where they are named */
  async find(query: RowQuery, more: number): Promise<{ found: FoundRow<unknown>[]; checkpoint: Folded }> {
    const { index, direction, limit = Number.POSITIVE_INFINITY } = query;
    return this.#run(async (db) => {
      const tx = db.transaction(["rows", "meta"], "readonly");
      const rows = tx.objectStore("rows");
      if (index !== undefined && !rows.indexNames.contains(index)) {
        throw new UnavailableError(`Rows of the version before answer, and have no index ${index}; ask again when it is rebuilt.`);
      }
      const source = index === undefined ? rows : rows.index(index);
      const range = rangeOf(query);
      const most = Number.isFinite(limit) ? limit + more : undefined;
      const reading = direction === "backwards" ? readBackwards(source, range, most) : source.getAll(range, most);
      const [found, checkpoint] = await Promise.all([reading, tx.objectStore("meta").get("checkpoint")]);
      return { found, checkpoint: checkpoint ?? UNFOLDED };
    });
  }

  /** The rows of these keys as they are stored. */
  async rowsOf(keys: ReadonlySet<string>): Promise<StoredRows> {
    return this.#run((db) => readRows(db.transaction(["rows", "meta"], "readonly"), keys));
  }

  /**
   * As the store's database does its own work: a connection that was lost is opened again and the work done once more, and what IndexedDB
   * throws is a typed error.
   */
  #run<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    return this.#internals.database.run(async () => {
      if (this.#isClosed) throw new StoreClosedError("The store is closed, or another version of the projection is open.");
      this.#opened ??= this.#open().catch((error: unknown) => {
        this.#opened = undefined;
        throw error;
      });
      return work(await this.#opened);
    });
  }

  async #open(): Promise<IDBPDatabase<Schema>> {
    const { name, platform } = this.#internals;
    const { name: projection, version, indexes = [] } = this.#projection;
    return openDatabase<Schema>(platform.indexedDB, platform.IDBKeyRange, rowsName(name, projection, version), 1, {
      upgrade(database) {
        const rows = database.createObjectStore("rows", { keyPath: "key" });
        for (const index of indexes) rows.createIndex(index, `row.${index}`);
        database.createObjectStore("meta");
      },
      blocked: () => undefined, // there is one version of it
      blocking: (database) => {
        this.#isGone = true;
        this.#opened = undefined;
        database.close();
        this.#onGone();
      },
      terminated: () => {
        this.#opened = undefined;
      },
    });
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

function rangeOf({ equals, from, to }: RowQuery): IDBKeyRange | undefined {
  if (equals !== undefined) return between(equals, equals);
  // Numbers stand before texts, and texts before lists.
  return from === undefined && to === undefined ? undefined : between(from ?? Number.NEGATIVE_INFINITY, to ?? []);
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
