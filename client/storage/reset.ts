/** Discards the device's copy of the log. */

import type { IDBPDatabase } from "idb";
import { nextTerm } from "../../shared/device/leadership.ts";
import { detach } from "../../shared/device/parked.ts";
import { emptyReplica } from "../../shared/device/same-copy.ts";
import type { Schema } from "./database.ts";
import type { WriteTx } from "./device-log.ts";
import { leaseOf, outboxFrom, pagesAfter, replicaOf, skipNumber, whole } from "./device-log.ts";
import { OutboxPart } from "./outbox.ts";
import { changeOutbox } from "./page.ts";

/**
 * Deletes the confirmed events, the snapshots and the cursor, in one transaction. The next sync fetches what the edge holds now. The
 * transaction raises the term, so that a sync that is running can't write any more.
 *
 * @param keepPending true: pending commits (see `detach`) and conflicts stay. false: they are discarded
 */
export async function resetReplica(db: IDBPDatabase<Schema>, keepPending: boolean): Promise<void> {
  const tx: WriteTx = db.transaction(["events", "parked", "meta", "lease", "snapshots"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    const replica = await replicaOf(tx);
    await skipNumber(tx);
    const events = tx.objectStore("events");
    const writes: Promise<unknown>[] = [events.delete(pagesAfter(tx, 0)), tx.objectStore("snapshots").clear()];
    if (keepPending) {
      const outbox = await OutboxPart.readAll(tx);
      const detached = [...outbox.streamIds()].flatMap((streamId) => detach(outbox.entries(streamId)));
      writes.push(...changeOutbox(tx, outbox, detached).writes);
    } else writes.push(events.delete(outboxFrom(tx, 0)), tx.objectStore("parked").clear());
    writes.push(tx.objectStore("lease").put(nextTerm(await leaseOf(tx)), "leader"));
    writes.push(tx.objectStore("meta").put(emptyReplica(replica), "history"));
    await Promise.all(writes);
  });
}
