/** A person who clears the site's data while the app is open. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { converged, feedOf, open } from "./devices.ts";

let edge: EdgeProcess;
let server: PageServer;
let browser: BrowserProcess;

beforeAll(async () => {
  [edge, server] = await Promise.all([startEdge(), servePage("test/faults/page.ts")]);
  browser = await startBrowser();
});
afterAll(async () => {
  await Promise.all([browser?.stop(), edge?.stop(), server?.close()]);
});

test("site data cleared: what the app records then reaches the edge, and what the edge has comes back", { timeout: 60_000 }, async () => {
  const url = `${edge.url}/v1/cleared`;
  const page = await browser.context().newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.device !== undefined);
  await open(page, { name: "cleared", url, pollEvery: 300, timeout: 3_000 });
  await page.evaluate(() => window.device.append("Note-1", "before", "any"));
  await converged([page], url);
  const session = await page.context().newCDPSession(page);
  await session.send("Storage.clearDataForOrigin", { origin: new URL(server.url).origin, storageTypes: "indexeddb" });
  await page.evaluate(() => window.device.append("Note-2", "behind", "any"));
  await converged([page], url);
  const commits = (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
  expect(commits.sort()).toEqual(["before", "behind"]);
});
