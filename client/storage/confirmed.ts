/** Reads the device's confirmed log, some pages at a time. This file is loaded later; `reader.ts`, in the first chunk, has `readAll`. */

import { isWithin, type Replica } from "../../shared/device/replica.ts";
import { isSameCopy } from "../../shared/device/same-copy.ts";
import { UnavailableError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { FeedFilter } from "../../shared/feed-filter.ts";
import type { Database } from "./database.ts";
import { pagesFrom, type ReadTx, replicaOf } from "./device-log.ts";
import { eventsOfPages } from "./segments.ts";

export const EVERY_EVENT: FeedFilter = { stream: () => true, content: undefined };

export interface Stretch {
  /** In position order. */
  readonly events: readonly ConfirmedEvent[];
  /** Inclusive. All events of the range up to this position that pass the filter are in `events`. */
  readonly end: number;
}

export interface Range {
  /** A position, exclusive. */
  readonly after: number;
  /** A position, inclusive. Default: the position up to which the replica has applied the feed. */
  readonly upTo?: number;
}

/** The filter, limited to the replica's scope. The device may still hold events of an earlier, wider scope, which are no longer updated. */
export function followed({ stream, content }: FeedFilter, { scope }: Pick<Replica, "scope">): FeedFilter {
  return { stream: (streamId) => stream(streamId) && isWithin(scope, streamId), content };
}

/**
 * Reads the first events of a range in one transaction; `end` says how far that was.
 *
 * @returns undefined if the device has discarded this copy of the log since `replica` was read: an empty range would then not mean that the
 *   log has no such events. Callers that watch the store are notified of the change
 */
export async function stretchAfter(
  database: Database,
  replica: Replica,
  { after, upTo = replica.position }: Range,
  filter: FeedFilter,
): Promise<Stretch | undefined> {
  if (after >= upTo) return { events: [], end: after };
  const [stretch, now] = await database.run(async (db) => {
    const tx: ReadTx = db.transaction(["events", "meta"], "readonly");
    return Promise.all([stretchIn(tx, { after, upTo }, filter), replicaOf(tx)]);
  });
  return isSameCopy(replica, now) ? stretch : undefined;
}

/** Reads the first events of a range; `end` says how far that was. */
export async function stretchIn(tx: ReadTx, { after, upTo }: Required<Range>, filter: FeedFilter): Promise<Stretch> {
  const segments = await pagesFrom(tx, after);
  const last = segments.at(-1);
  if (last === undefined) return { events: [], end: upTo };
  const events = eventsOfPages(segments, filter.stream).filter(
    (event) => event.position > after && event.position <= upTo && (filter.content?.(event) ?? true),
  );
  return { events, end: Math.min(last.key[0], upTo) };
}

/**
 * Reads all events of a range, one transaction after the other.
 *
 * @throws UnavailableError if the device discards this copy of the log meanwhile
 */
export async function* stretches(
  database: Database,
  replica: Replica,
  { after, upTo = replica.position }: Range,
  filter: FeedFilter,
): AsyncGenerator<readonly ConfirmedEvent[], void, undefined> {
  for (let at = after; at < upTo; ) {
    const stretch = await stretchAfter(database, replica, { after: at, upTo }, filter);
    if (stretch === undefined) throw new UnavailableError("The store was reset while it was read. Read again.");
    yield stretch.events;
    at = stretch.end;
  }
}
