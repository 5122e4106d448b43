/** Letting go of the history that a device follows, and changing how much of it. */
import type { IDBPDatabase } from "idb";
import { type History, isWithin, NEW_HISTORY, type Scope, withScope } from "../shared/history.ts";
import { NO_LEASE, nextTerm } from "../shared/leadership.ts";
import { detach } from "../shared/outbox.ts";
import type { Schema } from "./database.ts";
import { historyOf, OutboxPart, outboxFrom, pagesAfter, skipNumber, type WriteTx, whole } from "./device-log.ts";
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
    const lease = (await tx.objectStore("lease").get("leader")) ?? NO_LEASE;
    writes.push(tx.objectStore("lease").put(nextTerm(lease), "leader"));
    writes.push(tx.objectStore("meta").put({ ...NEW_HISTORY, authority, scope }, "history"));
    await Promise.all(writes);
  });
}

/**
 * The app was opened with another filter. Single streams that were followed stay so, and those that wait to be confirmed are
 * followed in any case: they would wait for ever. Answers the history as it is then.
 */
export async function setScope(db: IDBPDatabase<Schema>, filter: Scope): Promise<History> {
  const tx: WriteTx = db.transaction(["events", "meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const history = await historyOf(tx);
    if (filter === null) return writeScope(tx, history, null);
    const waiting = (await OutboxPart.readAll(tx)).streamIds();
    const streams = (history.scope ?? []).filter((part) => part.includes("-"));
    return writeScope(tx, history, [...new Set([...filter, ...[...streams, ...waiting].filter((id) => !isWithin(filter, id))])]);
  });
}

/** A stream that the app appends to is followed. Answers the history as it is then. */
export async function bringIntoScope(db: IDBPDatabase<Schema>, streamId: string): Promise<History> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, () => follow(tx, streamId));
}

export async function follow(tx: WriteTx, streamId: string): Promise<History> {
  const history = await historyOf(tx);
  const { scope } = history;
  return scope === null || isWithin(scope, streamId) ? history : writeScope(tx, history, [...scope, streamId]);
}

async function writeScope(tx: WriteTx, before: History, scope: Scope): Promise<History> {
  const history = withScope(before, scope);
  if (history !== before) await tx.objectStore("meta").put(history, "history");
  return history;
}
