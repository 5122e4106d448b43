/** Letting go of the history that a device follows, and changing how much of it. */
import type { IDBPDatabase } from "idb";
import { type History, isWithin, NEW_HISTORY, type Scope, withScope } from "../shared/history.ts";
import { nextTerm } from "../shared/leadership.ts";
import { detach } from "../shared/outbox.ts";
import type { Schema } from "./database.ts";
import { historyOf, leaseOf, OutboxPart, outboxFrom, pagesAfter, skipNumber, type WriteTx, whole } from "./device-log.ts";
import { changeOutbox } from "./page.ts";

/**
 * Forgets the confirmed events and the cursor, in one transaction; the next sync fetches what the edge holds now. A new term fences
 * whatever sync has under way.
 *
 * @param keepPending keeps pending commits (`detach` says how) and conflicts; without it they are discarded
 */
export async function resetHistory(db: IDBPDatabase<Schema>, keepPending: boolean): Promise<void> {
  const tx: WriteTx = db.transaction(["events", "parked", "meta", "lease"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const { scope, authority } = await historyOf(tx);
    const events = tx.objectStore("events");
    const writes: Promise<unknown>[] = [skipNumber(tx), events.delete(pagesAfter(0))];
    if (keepPending) {
      const outbox = await OutboxPart.readAll(tx);
      const detached = [...outbox.streamIds()].flatMap((streamId) => detach(outbox.entries(streamId)));
      writes.push(...changeOutbox(tx, outbox, detached).writes);
    } else writes.push(events.delete(outboxFrom(0)), tx.objectStore("parked").clear());
    writes.push(tx.objectStore("lease").put(nextTerm(await leaseOf(tx)), "leader"));
    writes.push(tx.objectStore("meta").put({ ...NEW_HISTORY, authority, scope }, "history"));
    await Promise.all(writes);
  });
}

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
    const history = withScope(before, change(before.scope));
    await tx.objectStore("meta").put(history, "history");
    return history;
  });
}
