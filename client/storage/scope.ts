/** Checks and changes the scope: the part of the store that the device follows. */
import type { IDBPDatabase } from "idb";
import type { Replica, Scope } from "../../shared/device/replica.ts";
import { scopeOfFilter, scopeOfFilters, scopeWith, withScope } from "../../shared/device/scope.ts";
import { sameJson } from "../../shared/json.ts";
import type { Schema } from "./database.ts";
import { replicaOf, type WriteTx, whole } from "./device-log.ts";

/** True if the replica can be used as it is: the edge orders its events, and its scope is the one that the filter asks for. */
export function isFollowing(replica: Replica, filter: Scope): boolean {
  return replica.authority === "edge" && sameJson(scopeOfFilter(replica.scope, filter), replica.scope);
}

/** Changes the scope to these filters: those with which the device's open tabs were opened. Returns the changed replica. */
export async function followFilters(db: IDBPDatabase<Schema>, filters: readonly Scope[]): Promise<Replica> {
  return changeScope(db, ({ scope }) => scopeOfFilters(scope, filters));
}

/**
 * Adds these streams, or parts of the store, to the scope, whatever the filter. Pending commits to a stream outside of the scope would never
 * be confirmed. Returns the changed replica.
 */
export async function followAlso(db: IDBPDatabase<Schema>, added: Scope): Promise<Replica> {
  return changeScope(db, ({ scope }) => scopeWith(scope, added));
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
