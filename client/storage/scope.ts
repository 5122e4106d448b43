/** Following another part of the store than before. */
import type { IDBPDatabase } from "idb";
import { isWithin, type Replica, type Scope } from "../../shared/device/replica.ts";
import { withScope } from "../../shared/device/scope.ts";
import type { Schema } from "./database.ts";
import { replicaOf, type WriteTx, whole } from "./device-log.ts";
import { scopeWith } from "./replica.ts";

/** The app was opened with another filter. Answers the history as it is then. */
export async function followFilter(db: IDBPDatabase<Schema>, filter: Scope): Promise<Replica> {
  return changeScope(db, (before) => scopeWith(before, filter));
}

/**
 * These streams are followed, whatever the filter: commits to them wait to be confirmed, and would wait for ever. Answers the
 * history as it is then.
 */
export async function followStreams(db: IDBPDatabase<Schema>, streamIds: readonly string[]): Promise<Replica> {
  return changeScope(db, ({ scope }) => scope && [...new Set([...scope, ...streamIds.filter((id) => !isWithin(scope, id))])]);
}

async function changeScope(db: IDBPDatabase<Schema>, change: (before: Replica) => Scope): Promise<Replica> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const before = await replicaOf(tx);
    const replica = withScope(before, change(before));
    await tx.objectStore("meta").put(replica, "history");
    return replica;
  });
}
