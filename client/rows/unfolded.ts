/** Reads the events that the device holds and that are not in a projection's stored rows. */

import { type Folded, foldFrom, isOfCopy } from "../../shared/device/projection.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import type { FeedFilter } from "../../shared/feed-filter.ts";
import type { StreamEvent } from "../event-store.ts";
import type { StoreInternals } from "../internals.ts";
import { followed, stretchAfter } from "../storage/confirmed.ts";
import { pendingEvents, type ReadTx, replicaOf } from "../storage/device-log.ts";
import { entriesOf } from "../storage/groups.ts";
import { allGroups } from "../storage/outbox.ts";

/** The most confirmed events after the checkpoint that a query folds in memory. If there are more, it folds none of them. */
const BEHIND = 1000;

export interface Unfolded {
  /** Confirmed events after the checkpoint, then pending events, as the app reads them. */
  readonly events: readonly RecordedEvent[];
  /** True if the rows are of another copy of the log, or of another scope: `events` then starts at the first event of the device. */
  readonly isOther: boolean;
}

/** @returns undefined if the device has discarded its copy of the log meanwhile */
export async function unfolded({ database, read }: StoreInternals, filter: FeedFilter, folded: Folded): Promise<Unfolded | undefined> {
  const [groups, replica] = await database.run(async (db) => {
    const tx: ReadTx = db.transaction(["events", "meta"], "readonly");
    return Promise.all([allGroups(tx), replicaOf(tx)]);
  });
  const behind: RecordedEvent[] = [];
  const { start, isAnew } = foldFrom(folded, replica);
  for (let after = start.position; after < replica.position && behind.length <= BEHIND; ) {
    const stretch = await stretchAfter(database, replica, { after }, followed(filter, replica));
    if (stretch === undefined) return undefined;
    behind.push(...stretch.events);
    after = stretch.end;
  }
  const isTooMuch = behind.length > BEHIND;
  const confirmed = isTooMuch ? [] : behind;
  // An event that a backfill confirms after the first read is read twice.
  const ids = new Set(behind.map(({ id }) => id));
  const pending = groups
    .flatMap((group) => entriesOf(group, filter.stream))
    .flatMap((entry): StreamEvent[] => pendingEvents(entry))
    .filter((event) => !ids.has(event.id) && (filter.content?.(event) ?? true));
  // Until the rows are built again, those of another scope are better than none.
  const isOther = isAnew && !(isTooMuch && isOfCopy(folded, replica));
  return { events: [...confirmed, ...pending].map((event) => read(event)), isOther };
}
