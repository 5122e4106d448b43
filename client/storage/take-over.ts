/** A store that lived on the device alone, opened with `sync` for the first time. */
import type { IDBPDatabase } from "idb";
import type { NewEntry } from "../../shared/device/outbox.ts";
import { emptyReplica } from "../../shared/device/same-copy.ts";
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { Schema } from "./database.ts";
import { addToOutbox, isSegment, pagesAfter, replicaOf, type WriteTx, whole } from "./device-log.ts";
import { eventsOfPages } from "./segments.ts";

/** What the edge takes as one commit, whatever the events are: 15 of the largest make less than 1 MiB. */
const COMMIT_EVENTS = 15;

/**
 * From now on the edge orders this store, so what the device had ordered itself becomes pending, in the same order, each
 * run of a stream as commits on the versions that it had: the edge will take them, or say who was first. One transaction;
 * a store that the edge orders already is left as it is.
 */
export async function takeOverLocalStore(db: IDBPDatabase<Schema>): Promise<void> {
  const tx: WriteTx = db.transaction(["events", "meta", "snapshots"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const replica = await replicaOf(tx);
    if (replica.authority === "edge") return; // another tab was faster
    const store = tx.objectStore("events");
    const events = eventsOfPages((await store.getAll(pagesAfter(0))).filter(isSegment));
    await Promise.all([store.delete(pagesAfter(0)), tx.objectStore("snapshots").clear(), ...addToOutbox(tx, entriesOfRuns(events))]);
    await tx.objectStore("meta").put(emptyReplica({ ...replica, authority: "edge", scope: null }), "history");
  });
}

function entriesOfRuns(events: readonly ConfirmedEvent[]): NewEntry[] {
  const entries: (NewEntry & { events: EventBody[] })[] = [];
  for (const { streamId, version, id, type, schemaVersion, data, metadata, occurredAt } of events) {
    const body = { id, type, schemaVersion, data, metadata, occurredAt };
    const last = entries.at(-1);
    if (last?.streamId === streamId && last.events.length < COMMIT_EVENTS) last.events.push(body);
    else {
      const expectedVersion = version === 1 ? "no-stream" : version - 1;
      entries.push({
        state: "pending",
        streamId: streamId as StreamId, // it stands in the log
        expectedVersion,
        events: [body],
        firstVersion: version,
        confirmed: 0,
      });
    }
  }
  return entries;
}
