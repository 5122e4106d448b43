/** An old tab is still open: two versions of an app in four tabs of one device, in a real browser, while the edge is deployed. */
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { TcpProxy } from "../support/proxy.ts";
import type { ShelfEvent } from "../support/versions.ts";

let edge: EdgeProcess;
let server: PageServer;
let browser: BrowserProcess;
let proxy: TcpProxy;
beforeAll(async () => {
  [edge, server] = await Promise.all([
    startEdge({ AUTH: "open", APP: "1" }, "test/edge/versions/worker.ts"),
    servePage("test/faults/versions-page.ts"),
  ]);
  [browser, proxy] = await Promise.all([startBrowser(), TcpProxy.start(edge.url)]);
});
afterAll(async () => {
  await Promise.all([browser?.stop(), proxy?.close(), edge?.stop(), server?.close()]);
});

const name = crypto.randomUUID();

async function openTab(version: 1 | 2): Promise<Page> {
  const page = await browser.context().newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.tab !== undefined);
  const url = `${proxy.url}/v1/${name}`;
  await page.evaluate(([version, name, url]) => window.tab.open(version, name, url), [version, name, url] as const);
  return page;
}

const shown = (page: Page) => page.evaluate(() => window.tab.shown());
const take = (page: Page, streamId: string, wanted: number) =>
  page.evaluate(([id, units]) => window.tab.take(id, units), [streamId, wanted] as const);

async function everyTab(pages: readonly Page[], expected: object): Promise<void> {
  for (const page of pages) await expect.poll(() => shown(page), { timeout: 20_000 }).toMatchObject(expected);
}

test("each case of an old tab that is still open", { timeout: 120_000 }, async () => {
  const store = connectStore({ url: `${edge.url}/v1/${name}` });
  const fill = (streamId: string, units: number) => store.appendToStream(streamId, [{ type: "Filled", data: units }]);
  const takenFrom = async (streamId: string) => {
    const { events } = await store.readStream(streamId);
    return events.flatMap((event) => {
      const { type, data } = event as unknown as ShelfEvent;
      return type === "Taken" ? [[data.units, data.decidedBy]] : [];
    });
  };
  // The edge decides the commands of Shelf, and those of Box are the devices' own.
  for (const streamId of ["Shelf-1", "Shelf-2", "Box-1", "Box-2"]) await fill(streamId, 5);
  const old = [await openTab(1), await openTab(1)] as const;
  const young = [await openTab(2), await openTab(2)] as const;
  const tabs = [...old, ...young];
  await everyTab(tabs, { connection: "online", pending: 0 });
  for (const page of tabs) expect(await page.evaluate(() => window.tab.left("Shelf-1"))).toBe(5);

  // Offline, each version gives commands, and another device is first everywhere.
  proxy.inject({ kind: "refuse" });
  await everyTab(tabs, { connection: "offline" });
  await take(old[0], "Shelf-1", 7);
  await take(young[0], "Shelf-2", 7);
  await take(old[1], "Box-1", 7);
  await take(young[1], "Box-2", 7);
  await everyTab(tabs, { pending: 4 });
  for (const streamId of ["Shelf-1", "Shelf-2", "Box-1", "Box-2"]) await fill(streamId, 1);
  proxy.heal();

  // The edge has the old version: it decides the old tab's command. The new one's waits, and the tabs say so. Those that the device decides again are decided
  // by tabs of their version, whichever tab leads.
  await everyTab(tabs, { pending: 1, problem: "decider-version", conflicts: [] });
  expect([await takenFrom("Shelf-1"), await takenFrom("Shelf-2")]).toEqual([[[6, 1]], []]);
  expect(await takenFrom("Box-2")).toEqual([[6, 2]]);
  expect([[[6, 1]], [[6, 2]]]).toContainEqual(await takenFrom("Box-1"));

  // The edge is deployed: nobody has to reload.
  await edge.kill();
  await edge.start({ AUTH: "open", APP: "2" });
  await everyTab(tabs, { connection: "online", pending: 0, problem: null, conflicts: [] });
  expect(await takenFrom("Shelf-2")).toEqual([[6, 2]]);

  // A newer edge has an upcaster for what an old tab asks.
  await fill("Shelf-1", 3);
  await take(old[0], "Shelf-1", 2);
  await everyTab(tabs, { connection: "online", pending: 0, problem: null, conflicts: [] });
  expect(await takenFrom("Shelf-1")).toEqual([
    [6, 1],
    [2, 2],
  ]);

  // The new tabs are closed while a command of theirs waits: the old ones do not decide it, and other streams go on.
  proxy.inject({ kind: "refuse" });
  await everyTab(tabs, { connection: "offline" });
  await take(young[0], "Box-2", 7);
  await take(old[0], "Shelf-1", 1);
  await everyTab(tabs, { pending: 2 });
  await Promise.all(young.map((page) => page.close()));
  await fill("Box-2", 4);
  proxy.heal();
  await everyTab(old, { pending: 1, problem: "decider-version", conflicts: [] });
  expect(await takenFrom("Shelf-1")).toEqual([
    [6, 1],
    [2, 2],
    [1, 2],
  ]);
  expect(await takenFrom("Box-2")).toEqual([[6, 2]]);
  const again = await openTab(2);
  await everyTab([...old, again], { connection: "online", pending: 0, problem: null, conflicts: [] });
  expect(await takenFrom("Box-2")).toEqual([
    [6, 2],
    [4, 2],
  ]);
  for (const page of [...old, again]) expect(await page.evaluate(() => window.tab.left("Shelf-1"))).toBe(0);
});
