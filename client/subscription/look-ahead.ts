/** Reads the events of a subscription some pages at a time, and returns them one by one. */

import { isWithin, type Replica } from "../../shared/device/replica.ts";
import type { Due, Found } from "../../shared/device/subscription.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import type { FeedFilter } from "../../shared/feed-filter.ts";
import { type Stretch, stretchAfter } from "../storage/confirmed.ts";
import type { Database } from "../storage/database.ts";

type Look = Pick<Due & { kind: "look" }, "part" | "after" | "upTo">;

interface Read extends Stretch {
  readonly after: number;
  /** Identifies the copy of the log and the part of the store that were read. */
  readonly of: string;
}

export class LookAhead {
  readonly #database: Database;
  readonly #filter: FeedFilter;
  #read: Read | undefined;

  constructor(database: Database, filter: FeedFilter) {
    this.#database = database;
    this.#filter = filter;
  }

  /** The first event of the filter and of the part. If there is none, `end` is the position up to which it was searched for. */
  async first(replica: Replica, look: Look): Promise<Found & { readonly event?: ConfirmedEvent }> {
    const { after, upTo } = look;
    const read = await this.#readAfter(replica, look);
    // The device has discarded this copy of the log meanwhile.
    if (read === undefined) return { end: after };
    const event = read.events.find(({ position }) => position > after && position <= upTo);
    return event === undefined ? { end: Math.min(read.end, upTo) } : { event, end: event.position };
  }

  async #readAfter(replica: Replica, { part: { within, without }, after, upTo }: Look): Promise<Read | undefined> {
    const of = JSON.stringify([replica.resets, replica.scope, within, without]);
    const known = this.#read;
    if (known?.of === of && after >= known.after && after < known.end) return known;
    const isIn = (id: string) => isWithin(within, id) && (without === undefined || !isWithin(without, id));
    const filter = { ...this.#filter, stream: (id: string) => this.#filter.stream(id) && isIn(id) };
    const stretch = await stretchAfter(this.#database, replica, { after, upTo }, filter);
    if (stretch === undefined) return undefined;
    this.#read = { ...stretch, after, of };
    return this.#read;
  }
}
