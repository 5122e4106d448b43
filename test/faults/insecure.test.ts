/**
 * A web page that the browser does not trust, such as one that a phone opens by the IP address of a laptop. It has no Web Locks and no
 * `randomUUID`.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { converged, feedOf, open } from "./devices.ts";

const HOST = "laptop.test";

let edge: EdgeProcess;
let server: PageServer;
let browser: BrowserProcess;
let address: URL;

beforeAll(async () => {
  server = await servePage("test/faults/page.ts");
  address = new URL(server.url);
  address.hostname = HOST;
  edge = await startEdge({ AUTH: "open", ALLOWED_ORIGINS: address.origin });
  browser = await startBrowser(undefined, [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`]);
});
afterAll(async () => {
  await Promise.all([browser?.stop(), edge?.stop(), server?.close()]);
});

test("without a secure context: two tabs record and sync, and each commit is there once", { timeout: 60_000 }, async () => {
  const url = `${edge.url}/v1/insecure`;
  const tabs = await Promise.all([browser.context().newPage(), browser.context().newPage()]);
  for (const tab of tabs) {
    await tab.goto(address.href);
    await tab.waitForFunction(() => window.device !== undefined);
    expect(await tab.evaluate(() => [isSecureContext, "locks" in navigator, "randomUUID" in crypto])).toEqual([false, false, false]);
    await open(tab, { name: "insecure", url, pollEvery: 300, timeout: 3_000 });
  }
  await Promise.all(
    tabs.flatMap((tab, i) => [0, 1, 2].map((n) => tab.evaluate((commit) => window.device.append("Note-1", commit, "any"), `${i}-${n}`))),
  );
  await converged(tabs, url);
  const feed = await feedOf(url);
  expect(feed.map(({ data }) => (data as { commit: string }).commit).sort()).toEqual(["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]);
  for (const { id } of feed) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
