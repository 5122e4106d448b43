/** Applying a page of the feed: everything that follows from it, in one transaction. */
import type { IDBPDatabase } from "idb";
import { unreachable } from "../shared/assert.ts";
import type { ConfirmedEvent } from "../shared/event.ts";
import { type OutboxEntry, type ParkReason, type PendingEntry, parkFrom, reconcile } from "../shared/outbox.ts";
import type { FeedPage } from "../shared/wire.ts";
import { type History, NEW_HISTORY, type Schema } from "./database.ts";
import { isSegment, OutboxPart, outboxFrom, pagesAfter, skipNumber, toParkedRecord, type WriteTx, whole } from "./device-log.ts";
import { eventsOfPages, SEGMENT_EVENTS, toSegments } from "./segments.ts";

/**
 * Writes the page's events, settles, moves or parks the pending commits that they concern, and moves the cursor. What a
 * page brings is at the edge too, so the transaction is a relaxed one: losing it whole loses nothing.
 *
 * @param after the cursor that the page was asked for with; where another tab has moved it since, nothing is written
 * @returns whether the page was applied
 */
export async function applyPage(db: IDBPDatabase<Schema>, page: FeedPage, after: number): Promise<boolean> {
  const tx: WriteTx = db.transaction(["events", "parked", "meta"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const history = (await tx.objectStore("meta").get("history")) ?? NEW_HISTORY;
    if (history.position !== after || (history.log !== null && history.log !== page.log)) return false;
    const writes: Promise<unknown>[] = [];
    if (page.events.length > 0) {
      writes.push(skipNumber(tx));
      writes.push(...(await settleOutbox(tx, page.events)));
      writes.push(...(await writeSegments(tx, page.events)));
    }
    const { position, head, log } = page;
    const next: History = { authority: "edge", log, position, head };
    writes.push(tx.objectStore("meta").put(next, "history"));
    await Promise.all(writes);
    return true;
  });
}

/** A page that follows a very small one is written together with it, so that live pages don't leave a trail of tiny records. */
async function writeSegments(tx: WriteTx, events: readonly ConfirmedEvent[]): Promise<Promise<unknown>[]> {
  const store = tx.objectStore("events");
  const last = (await store.openCursor(pagesAfter(0), "prev"))?.value;
  const writes: Promise<unknown>[] = [];
  let all = events;
  if (last !== undefined && isSegment(last) && last.key[1] === 0) {
    const before = eventsOfPages([last]);
    if (before.length < SEGMENT_EVENTS) {
      writes.push(store.delete(last.key));
      all = [...before, ...events];
    }
  }
  for (const segment of toSegments(all)) writes.push(store.put(segment));
  return writes;
}

async function settleOutbox(tx: WriteTx, events: readonly ConfirmedEvent[]): Promise<Promise<unknown>[]> {
  if ((await tx.objectStore("events").getKey(outboxFrom(0))) === undefined) return [];
  const streams = Map.groupBy(events, (event) => event.streamId);
  const outbox = await OutboxPart.read(tx, streams.keys());
  const writes: Promise<unknown>[] = [];
  for (const [streamId, arrived] of streams) {
    const entries = outbox.entries(streamId);
    if (entries.length === 0) continue;
    const { settled, changed } = reconcile(entries, arrived);
    for (const { seq } of settled) outbox.remove(seq);
    for (const entry of changed) writes.push(...change(tx, outbox, entry));
  }
  return [...writes, ...outbox.write(tx)];
}

function change(tx: WriteTx, outbox: OutboxPart, entry: OutboxEntry): Promise<unknown>[] {
  switch (entry.state) {
    case "pending":
      outbox.replace(entry);
      return [];
    case "parked":
      outbox.remove(entry.seq);
      return [tx.objectStore("parked").put(toParkedRecord(entry))];
    default:
      return unreachable(entry);
  }
}

/** Parks what the edge refused, and whatever stands behind it in the same stream. */
export async function parkRefused(
  db: IDBPDatabase<Schema>,
  refused: readonly { readonly entry: PendingEntry; readonly reason: ParkReason }[],
): Promise<void> {
  const tx: WriteTx = db.transaction(["events", "parked"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const outbox = await OutboxPart.read(tx, new Set(refused.map(({ entry }) => entry.streamId)));
    const parked = refused.flatMap(({ entry, reason }) => parkFrom(outbox.entries(entry.streamId), entry.seq, reason));
    const writes = parked.flatMap((entry) => change(tx, outbox, entry));
    await Promise.all([skipNumber(tx), ...writes, ...outbox.write(tx)]);
  });
}
