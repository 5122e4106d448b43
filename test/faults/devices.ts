/** What the tests request of web pages and of the edge. */
import type { Page } from "playwright";
import { expect } from "vitest";
import { connectStore } from "../../client/http.ts";
import type { ConfirmedEvent, Status } from "../../client/index.ts";
import type { DeviceOptions, Dump, Mark, Report, Writing } from "./page.ts";

/** For everything to come together once nothing fails any more, in milliseconds. */
const BOUND = 45_000;

export function open(page: Page, options: DeviceOptions): Promise<void> {
  return page.evaluate((given) => window.device.open(given), options);
}

/** Resolves when the page is told to rest, with what it has recorded. */
export function write(page: Page, writing: Writing): Promise<Report[]> {
  return page.evaluate((given) => window.device.write(given), writing);
}

export function statusOf(page: Page): Promise<Status> {
  // Without its error, which does not cross.
  return page.evaluate(() => ({ ...window.device.status(), problem: null }));
}

/** Everybody has come together with the edge, each by itself: nobody is asked to. */
export async function converged(pages: readonly Page[], url: string): Promise<void> {
  const left = async () => {
    const { head } = await connectStore({ url }).health();
    const states = await Promise.all(pages.map(statusOf));
    return states.map(({ pending, conflicts, cursor }) => ({ pending, conflicts, events: head - (cursor?.position ?? 0) }));
  };
  const nothing = pages.map(() => ({ pending: 0, conflicts: 0, events: 0 }));
  await expect.poll(left, { timeout: BOUND, interval: 100 }).toEqual(nothing);
}

/** Answers "done", or why not. */
export function sync(page: Page): Promise<string> {
  return page.evaluate(() => window.device.sync());
}

/** The device and the edge have come together, since it was asked to. */
export async function settled(page: Page): Promise<void> {
  await expect.poll(() => sync(page), { timeout: BOUND, interval: 50 }).toBe("done");
}

export async function dumpOf(page: Page, streamIds: readonly string[]): Promise<Dump> {
  // As text, which crosses faster than thousands of objects.
  const dump: Dump = JSON.parse(await page.evaluate(async (ids) => JSON.stringify(await window.device.dump(ids)), streamIds));
  return dump;
}

/** All that the edge holds of a store. */
export async function feedOf(url: string): Promise<ConfirmedEvent[]> {
  const feed: ConfirmedEvent[] = [];
  for await (const event of connectStore({ url }).readAll()) feed.push(event);
  return feed;
}

/** Another writer, straight at the edge: so many events of each stream, each by itself for all that the tests can tell. */
export async function appendElsewhere(url: string, name: string, counts: Readonly<Record<string, number>>): Promise<void> {
  const store = connectStore({ url });
  const commits = Object.entries(counts).flatMap(([streamId, count]) => {
    const marks = Array.from({ length: count }, (_, i): Mark => ({ commit: `${name}.${streamId}.${i}`, n: 0, of: 1 }));
    const events = marks.map((data) => ({ type: "Marked", data }));
    return count === 0 ? [] : [store.prepare(streamId, events)];
  });
  const results = await store.push(commits);
  expect(results.filter(({ status }) => status !== "committed")).toEqual([]);
}
