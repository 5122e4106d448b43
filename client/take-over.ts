/** A store that lived on the device alone, opened with `sync` for the first time. */
import type { IDBPDatabase } from "idb";
import { toVersion } from "../shared/order.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import { NEW_HISTORY, type Schema } from "./database.ts";
import { toPendingRecord, type WriteTx } from "./device-log.ts";
import { eventsOf } from "./segments.ts";

/**
 * From now on the edge orders this store, so what the device had ordered itself becomes pending, in the same order, each
 * run of a stream as a commit on the versions that it had: the edge will take them, or say who was first. One transaction;
 * a store that the edge orders already is left as it is.
 */
export async function takeOverDeviceHistory(db: IDBPDatabase<Schema>): Promise<void> {
  const tx: WriteTx = db.transaction(["segments", "outbox", "meta"], "readwrite", { durability: "strict" });
  const history = (await tx.objectStore("meta").get("history")) ?? NEW_HISTORY;
  if (history.authority === "edge") return tx.done;
  let cursor = await tx.objectStore("segments").openCursor();
  while (cursor !== null) {
    for (const [streamId] of cursor.value.streams) {
      const events = eventsOf(cursor.value, (id) => id === streamId);
      const firstVersion = events[0]?.version ?? toVersion(1);
      const bodies = events.map(({ id, type, schemaVersion, data, metadata, occurredAt }) => ({
        id,
        type,
        schemaVersion,
        data,
        metadata,
        occurredAt,
      }));
      const expectedVersion = firstVersion === 1 ? "no-stream" : firstVersion - 1;
      await tx.objectStore("outbox").add(
        toPendingRecord({
          state: "pending",
          streamId: parseStreamId(streamId),
          expectedVersion,
          events: bodies,
          firstVersion,
          confirmed: 0,
        }),
      );
    }
    cursor = await cursor.continue();
  }
  await tx.objectStore("segments").clear();
  await tx.objectStore("meta").put({ ...NEW_HISTORY, authority: "edge" }, "history");
  await tx.done;
}
