/** Hands a store that lived on the device alone over to the edge, when it is opened with `sync` for the first time. */
import type { IDBPDatabase } from "idb";
import type { NewEntry } from "../../shared/device/outbox.ts";
import { emptyReplica } from "../../shared/device/same-copy.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { Schema } from "./database.ts";
import { addToOutbox, isSegment, pagesAfter, replicaOf, type WriteTx, whole } from "./device-log.ts";
import { eventsOfPages } from "./segments.ts";

/** Events in one commit. The edge accepts that many whatever they are: 15 of the largest events are less than 1 MiB. */
const COMMIT_EVENTS = 15;

/**
 * From now on the edge orders this store. The events that the device ordered itself become pending commits, in the same order. Each
 * run of a stream's events becomes commits of at most 15 events, on the versions that the events had. The edge accepts them, or reports who
 * was first. All of this is one transaction. A store that the edge orders already stays as it is.
 */
export async function takeOverLocalStore(db: IDBPDatabase<Schema>): Promise<void> {
  const tx: WriteTx = db.transaction(["events", "meta", "snapshots"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const replica = await replicaOf(tx);
    if (replica.authority === "edge") return; // another tab was faster
    const store = tx.objectStore("events");
    const events = eventsOfPages((await store.getAll(pagesAfter(tx, 0))).filter(isSegment));
    await Promise.all([store.delete(pagesAfter(tx, 0)), tx.objectStore("snapshots").clear(), ...addToOutbox(tx, entriesOfRuns(events))]);
    await tx.objectStore("meta").put(emptyReplica({ ...replica, authority: "edge", scope: null }), "history");
  });
}

/** Commits with these events, in their order. */
export function entriesOfRuns(events: readonly ConfirmedEvent[]): NewEntry[] {
  const entries: (NewEntry & { events: EventBody[] })[] = [];
  for (const { streamId, version, id, type, schemaVersion, data, metadata, occurredAt } of events) {
    const body = { id, type, schemaVersion, data, metadata, occurredAt };
    const last = entries.at(-1);
    if (last?.streamId === streamId && last.events.length < COMMIT_EVENTS) last.events.push(body);
    else {
      const expectedVersion = version === 1 ? "no-stream" : version - 1;
      entries.push({
        state: "pending",
        streamId: streamId as StreamId, // the log holds only valid stream ids
        expectedVersion,
        events: [body],
        firstVersion: version,
        confirmed: 0,
      });
    }
  }
  return entries;
}
