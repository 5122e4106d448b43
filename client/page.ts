/** Applying a page of the feed: everything that follows from it, in one transaction. */
import type { IDBPDatabase } from "idb";
import { unreachable } from "../shared/assert.ts";
import type { ConfirmedEvent } from "../shared/event.ts";
import { type OutboxEntry, type ParkReason, type PendingEntry, parkFrom, reconcile } from "../shared/outbox.ts";
import type { FeedPage } from "../shared/wire.ts";
import { type History, NEW_HISTORY, type Schema } from "./database.ts";
import { pendingEntries, toParkedRecord, toPendingRecord, type WriteTx } from "./device-log.ts";
import { eventsOf, SEGMENT_EVENTS, toSegments } from "./segments.ts";

/**
 * Writes the page's events, settles, moves or parks the pending commits that they concern, and moves the cursor. What a
 * page brings is at the edge too, so the transaction is a relaxed one: losing it whole loses nothing.
 *
 * @param after the cursor that the page was asked for with; where another tab has moved it since, nothing is written
 * @returns whether the page was applied
 */
export async function applyPage(db: IDBPDatabase<Schema>, page: FeedPage, after: number): Promise<boolean> {
  const tx: WriteTx = db.transaction(["segments", "outbox", "parked", "meta"], "readwrite", { durability: "relaxed" });
  const done = tx.done;
  done.catch(() => undefined); // awaited below on every path where no request failed first
  const history = (await tx.objectStore("meta").get("history")) ?? NEW_HISTORY;
  if (history.position !== after || (history.log !== null && history.log !== page.log)) {
    await done;
    return false;
  }
  const writes: Promise<unknown>[] = [];
  if (page.events.length > 0) {
    writes.push(...(await writeSegments(tx, page.events)));
    writes.push(...(await settleOutbox(tx, page.events)));
  }
  const next: History = { authority: "edge", log: page.log, position: page.position, head: page.head };
  writes.push(tx.objectStore("meta").put(next, "history"));
  await Promise.all([...writes, done]);
  return true;
}

/** A page that follows a short segment is written together with it, so that live pages don't leave a trail of tiny ones. */
async function writeSegments(tx: WriteTx, events: readonly ConfirmedEvent[]): Promise<Promise<unknown>[]> {
  const segments = tx.objectStore("segments");
  const last = (await segments.openCursor(null, "prev"))?.value;
  const writes: Promise<unknown>[] = [];
  let all = events;
  if (last !== undefined && last.count < SEGMENT_EVENTS / 2) {
    writes.push(segments.delete(last.position));
    all = [...eventsOf(last), ...events];
  }
  for (const segment of toSegments(all)) writes.push(segments.put(segment));
  return writes;
}

async function settleOutbox(tx: WriteTx, events: readonly ConfirmedEvent[]): Promise<Promise<unknown>[]> {
  if ((await tx.objectStore("outbox").count()) === 0) return [];
  const streams = Map.groupBy(events, (event) => event.streamId);
  const outcomes = await Promise.all(
    [...streams].map(async ([streamId, arrived]) => {
      const entries = await pendingEntries(tx, streamId);
      return entries.length === 0 ? { settled: [], changed: [] } : reconcile(entries, arrived);
    }),
  );
  const settled = outcomes.flatMap((outcome) => outcome.settled.map((entry) => entry.seq));
  return [...deleteAll(tx, settled), ...outcomes.flatMap((outcome) => outcome.changed.flatMap((entry) => writeEntry(tx, entry)))];
}

/** Deletes by ranges: a device's commits are pushed, and so come back, mostly in the order in which they were made. */
function deleteAll(tx: WriteTx, seqs: readonly number[]): Promise<unknown>[] {
  const sorted = [...seqs].sort((a, b) => a - b);
  const deletions: Promise<unknown>[] = [];
  let start = 0;
  for (let i = 1; i <= sorted.length; i++) {
    const previous = sorted[i - 1];
    if (previous === undefined || sorted[i] === previous + 1) continue;
    deletions.push(tx.objectStore("outbox").delete(IDBKeyRange.bound(sorted[start], previous)));
    start = i;
  }
  return deletions;
}

function writeEntry(tx: WriteTx, entry: OutboxEntry): Promise<unknown>[] {
  switch (entry.state) {
    case "pending":
      return [tx.objectStore("outbox").put({ ...toPendingRecord(entry), seq: entry.seq })];
    case "parked":
      return [tx.objectStore("outbox").delete(entry.seq), tx.objectStore("parked").put(toParkedRecord(entry))];
    default:
      return unreachable(entry);
  }
}

/** Parks what the edge refused, and whatever stands behind it in the same stream. */
export async function parkRefused(
  db: IDBPDatabase<Schema>,
  refused: readonly { readonly entry: PendingEntry; readonly reason: ParkReason }[],
): Promise<void> {
  const tx: WriteTx = db.transaction(["outbox", "parked"], "readwrite", { durability: "strict" });
  const done = tx.done;
  done.catch(() => undefined); // awaited below on every path where no request failed first
  const parked = await Promise.all(
    refused.map(async ({ entry, reason }) => parkFrom(await pendingEntries(tx, entry.streamId), entry.seq, reason)),
  );
  await Promise.all([...parked.flat().flatMap((entry) => writeEntry(tx, entry)), done]);
}
