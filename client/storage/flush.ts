/** Forces writes of relaxed transactions onto the disk. */
import type { IDBPDatabase } from "idb";
import type { Schema } from "./database.ts";
import { replicaOf, type WriteTx, whole } from "./device-log.ts";

/**
 * Runs one strict transaction. A database is written in order, so all transactions before it are on the disk with it. It has to write
 * something: a transaction without a write flushes nothing.
 */
export async function flush(db: IDBPDatabase<Schema>): Promise<void> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "strict" });
  await whole(tx, async () => tx.objectStore("meta").put(await replicaOf(tx), "history"));
}
