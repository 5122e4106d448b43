/** A store that lived on the device alone, opened with `sync` for the first time. */
import type { IDBPDatabase } from "idb";
import { assert } from "../shared/assert.ts";
import type { ConfirmedEvent, EventBody } from "../shared/event.ts";
import { NEW_HISTORY } from "../shared/history.ts";
import type { NewEntry } from "../shared/outbox.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import type { Schema } from "./database.ts";
import { addToOutbox, historyOf, isSegment, pagesAfter, readHistory, type WriteTx, whole } from "./device-log.ts";
import { eventsOfPages, type Segment } from "./segments.ts";

/** Well within what the edge takes as one commit, whatever the events are. */
const COMMIT_EVENTS = 100;
const COMMIT_SIZE = 256 * 1024;

/**
 * From now on the edge orders this store, so what the device had ordered itself becomes pending, in the same order, each
 * run of a stream as a commit on the versions that it had: the edge will take them, or say who was first. One transaction;
 * a store that the edge orders already is left as it is.
 */
export async function takeOverDeviceHistory(db: IDBPDatabase<Schema>): Promise<void> {
  if ((await readHistory(db)).authority === "edge") return;
  const tx: WriteTx = db.transaction(["events", "meta"], "readwrite", { durability: "strict" });
  await whole(tx, async () => {
    if ((await historyOf(tx)).authority === "edge") return; // another tab was faster
    let page: Segment[] = [];
    let cursor = await tx.objectStore("events").openCursor(pagesAfter(0));
    while (cursor !== null) {
      const record = cursor.value;
      if (isSegment(record)) {
        if (page[0] !== undefined && page[0].key[0] !== record.key[0]) {
          await Promise.all(addToOutbox(tx, entriesOfRuns(eventsOfPages(page))));
          page = [];
        }
        page.push(record);
      }
      cursor = await cursor.continue();
    }
    await Promise.all(addToOutbox(tx, entriesOfRuns(eventsOfPages(page))));
    await tx.objectStore("events").delete(pagesAfter(0));
    await tx.objectStore("meta").put({ ...NEW_HISTORY, authority: "edge" }, "history");
  });
}

function entriesOfRuns(events: readonly ConfirmedEvent[]): NewEntry[] {
  const entries: NewEntry[] = [];
  let start = 0;
  let size = 0;
  for (const [i, event] of events.entries()) {
    size += JSON.stringify(event).length;
    const next = events[i + 1];
    const goesOn = next?.streamId === event.streamId && i + 1 - start < COMMIT_EVENTS && size < COMMIT_SIZE;
    if (goesOn) continue;
    entries.push(toEntry(events.slice(start, i + 1)));
    start = i + 1;
    size = 0;
  }
  return entries;
}

function toEntry(run: readonly ConfirmedEvent[]): NewEntry {
  const [first] = run;
  assert(first !== undefined, "a run has at least one event");
  const firstVersion = first.version;
  return {
    state: "pending",
    streamId: parseStreamId(first.streamId),
    expectedVersion: firstVersion === 1 ? "no-stream" : firstVersion - 1,
    events: run.map(bodyOf),
    firstVersion,
    confirmed: 0,
  };
}

function bodyOf({ id, type, schemaVersion, data, metadata, occurredAt }: ConfirmedEvent): EventBody {
  return { id, type, schemaVersion, data, metadata, occurredAt };
}
