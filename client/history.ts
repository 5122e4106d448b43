/** How much of the history a device follows. */
import type { IDBPDatabase } from "idb";
import { type History, isWithin, type Scope, withScope } from "../shared/history.ts";
import type { Schema } from "./database.ts";
import { historyOf, type WriteTx, whole } from "./device-log.ts";

/** The app was opened with a filter. Single streams that were followed stay so. Answers the history as it is then. */
export async function setScope(db: IDBPDatabase<Schema>, filter: Scope): Promise<History> {
  return changeScope(db, (before) => filter && [...new Set([...filter, ...(before ?? []).filter((part) => part.includes("-"))])]);
}

/**
 * These streams are followed, whatever the filter: commits to them wait to be confirmed, and would wait for ever. Answers the
 * history as it is then.
 */
export async function follow(db: IDBPDatabase<Schema>, streamIds: readonly string[]): Promise<History> {
  return changeScope(db, (before) => before && [...new Set([...before, ...streamIds.filter((id) => !isWithin(before, id))])]);
}

async function changeScope(db: IDBPDatabase<Schema>, change: (before: Scope) => Scope): Promise<History> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const before = await historyOf(tx);
    // The edge orders what nothing was appended to yet.
    const authority = before.position === 0 ? "edge" : before.authority;
    const history = { ...withScope(before, change(before.scope)), authority };
    await tx.objectStore("meta").put(history, "history");
    return history;
  });
}
