/** Measures what a device does with a feed page, in the browser: checking it. The baseline is writing it. Sync does one after the other. */

import { Database } from "../../client/storage/database.ts";
import { applyPage } from "../../client/storage/page.ts";
import { NO_LEASE } from "../../shared/device/leadership.ts";
import { NEW_REPLICA } from "../../shared/device/replica.ts";
import { parkUndecided } from "../../shared/device/resolution.ts";
import type { Json } from "../../shared/json.ts";
import { type FeedPage, parseFeedPage } from "../../shared/wire/wire.ts";
import { compare, type Measurement, timed } from "../measure.ts";

const PAGE = 1_000;
const ROUNDS = 15;

let names = 0;

/** @param events of a store, in the order of their positions */
export function measureFeedPages(events: readonly object[]): Promise<Measurement> {
  const texts: string[] = [];
  for (let position = PAGE; position <= events.length; position += PAGE)
    texts.push(
      JSON.stringify({ log: "log", events: events.slice(position - PAGE, position), position, mark: "mark", head: events.length }),
    );

  const check = async () => {
    const pages: Json[] = texts.map((text) => JSON.parse(text));
    return timed(async () => {
      for (const page of pages) parseFeedPage(page);
    });
  };
  const write = async () => {
    const pages = texts.map((text) => parseFeedPage(JSON.parse(text)));
    const database = new Database(
      `feed-pages-${++names}`,
      globalThis,
      { ...NEW_REPLICA, authority: "edge" },
      {
        onEnded: () => {},
        onReopened: () => {},
      },
    );
    await database.run(async () => {});
    const time = await timed(() => database.run((db) => writeAll(db, pages)));
    await database.close();
    return time;
  };
  return compare(
    { name: "check pages of the feed, 1,000 events each", baseline: "writing the same pages", count: texts.length, unit: "pages" },
    check,
    write,
    ROUNDS,
  );
}

async function writeAll(db: Parameters<typeof applyPage>[0], pages: readonly FeedPage[]): Promise<void> {
  for (const [i, page] of pages.entries())
    await applyPage(db, page, { after: i * PAGE, within: null, isBackfill: false }, NO_LEASE.term, parkUndecided, "relaxed", new Map());
}
