/** The confirmed log that the device holds, read some pages at a time. `readAll` of the store does so by itself: it is in the first chunk. */
import type { ConfirmedEvent } from "../../shared/event.ts";
import type { FeedFilter } from "../../shared/feed-filter.ts";
import type { Database } from "../database.ts";
import { pagesFrom } from "../device-log.ts";
import { eventsOfPages } from "../segments.ts";

export const EVERY_EVENT: FeedFilter = { stream: () => true, content: undefined };

export interface Stretch {
  /** In position order. */
  readonly events: readonly ConfirmedEvent[];
  /** What passes the filter up to here is among them. */
  readonly end: number;
}

/** Events behind a position, up to another one, as far as one reading goes. */
export async function stretchAfter(database: Database, after: number, upTo: number, filter: FeedFilter): Promise<Stretch> {
  if (after >= upTo) return { events: [], end: after };
  const segments = await database.run((db) => pagesFrom(db, after));
  const last = segments.at(-1);
  if (last === undefined) return { events: [], end: upTo };
  const events = eventsOfPages(segments, filter.stream).filter(
    (event) => event.position > after && event.position <= upTo && (filter.content?.(event) ?? true),
  );
  return { events, end: Math.min(last.key[0], upTo) };
}

/** All of them, one reading after the other. */
export async function* stretches(
  database: Database,
  after: number,
  upTo: number,
  filter: FeedFilter,
): AsyncGenerator<readonly ConfirmedEvent[], void, undefined> {
  for (let at = after; at < upTo; ) {
    const { events, end } = await stretchAfter(database, at, upTo, filter);
    yield events;
    at = end;
  }
}
