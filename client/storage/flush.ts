/** What was written in relaxed transactions, brought onto the disk. */
import type { IDBPDatabase } from "idb";
import type { Schema } from "./database.ts";
import { replicaOf, type WriteTx, whole } from "./device-log.ts";

/** One strict transaction takes all that stand before it along: a database is written in order. One that writes nothing takes none. */
export async function flush(db: IDBPDatabase<Schema>): Promise<void> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "strict" });
  await whole(tx, async () => tx.objectStore("meta").put(await replicaOf(tx), "history"));
}
