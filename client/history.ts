/** Which history a device follows from when the app opens its store, as far as that needs nothing else: `model/scope.ts` has the rest. */

import type { IDBPDatabase } from "idb";
import type { History, Scope } from "../shared/history.ts";
import { sameJson } from "../shared/json.ts";
import type { Schema } from "./database.ts";
import { historyOf, type WriteTx, whole } from "./device-log.ts";

/**
 * The history as the edge goes on with it; undefined where the device holds events that it ordered itself, or of another part of the
 * store.
 *
 * @param filter what the app wants to follow
 */
export async function beginHistory(db: IDBPDatabase<Schema>, filter: Scope): Promise<History | undefined> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const before = await historyOf(tx);
    const scope = scopeWith(before, filter);
    const isSame = sameJson(scope, before.scope);
    if (isSame && before.authority === "edge") return before;
    if (before.position > 0) return undefined;
    // The edge orders what nothing was appended to yet.
    const history = { ...before, scope, authority: "edge" } as const;
    await tx.objectStore("meta").put(history, "history");
    return history;
  });
}

/** Single streams that were followed stay so: commits to them may wait to be confirmed. */
export function scopeWith({ scope }: Pick<History, "scope">, filter: Scope): Scope {
  return filter && [...new Set([...filter, ...(scope ?? []).filter((part) => part.includes("-"))])];
}
