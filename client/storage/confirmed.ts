/** The confirmed log that the device holds, read some pages at a time. `readAll` of the store does so by itself: it is in the first chunk. */

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
  /** What passes the filter up to here is among them. */
  readonly end: number;
}

export interface Range {
  /** Exclusive. */
  readonly after: number;
  /** Inclusive. Default: all that the history has applied. */
  readonly upTo?: number;
}

/** What passes the filter of what the device follows: what it holds besides, from when it followed more, goes on no more. */
export function followed({ stream, content }: FeedFilter, { scope }: Pick<Replica, "scope">): FeedFilter {
  return { stream: (streamId) => stream(streamId) && isWithin(scope, streamId), content };
}

/**
 * Events of a range, as far as one reading goes; undefined where the device has let go of this history meanwhile: no page would then mean
 * that nothing stands there. Whoever follows the history is told of a change.
 */
export async function stretchAfter(
  database: Database,
  replica: Replica,
  { after, upTo = replica.position }: Range,
  filter: FeedFilter,
): Promise<Stretch | undefined> {
  if (after >= upTo) return { events: [], end: after };
  const [segments, now] = await database.run(async (db) => {
    const tx: ReadTx = db.transaction(["events", "meta"], "readonly");
    return Promise.all([pagesFrom(tx, after), replicaOf(tx)]);
  });
  if (!isSameCopy(replica, now)) return undefined;
  const last = segments.at(-1);
  if (last === undefined) return { events: [], end: upTo };
  const events = eventsOfPages(segments, filter.stream).filter(
    (event) => event.position > after && event.position <= upTo && (filter.content?.(event) ?? true),
  );
  return { events, end: Math.min(last.key[0], upTo) };
}

/** All of them, one reading after the other. @throws UnavailableError where the device lets go of this history meanwhile */
export async function* stretches(
  database: Database,
  replica: Replica,
  { after, upTo = replica.position }: Range,
  filter: FeedFilter,
): AsyncGenerator<readonly ConfirmedEvent[], void, undefined> {
  for (let at = after; at < upTo; ) {
    const stretch = await stretchAfter(database, replica, { after: at, upTo }, filter);
    if (stretch === undefined) throw new UnavailableError("The store was reset; ask again.");
    yield stretch.events;
    at = stretch.end;
  }
}
