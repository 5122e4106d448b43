/** An old tab is still open: two versions of an app in four tabs of one device, in a real browser, while the edge is deployed. */
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { TcpProxy } from "../support/proxy.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import type { ShelfEvent } from "../support/versions.ts";
import type { AppName, Tab } from "./versions-page.ts";

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

type Chosen = Parameters<Tab["open"]>[3];

async function openTab(app: AppName, name: string, chosen?: Chosen): Promise<Page> {
  const page = await browser.context().newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.tab !== undefined);
  const url = `${proxy.url}/v1/${name}`;
  await page.evaluate(([app, name, url, chosen]) => window.tab.open(app, name, url, chosen), [app, name, url, chosen] as const);
  return page;
}

const shown = (page: Page) => page.evaluate(() => window.tab.shown());
const take = (page: Page, streamId: string, wanted: number) =>
  page.evaluate(([id, units]) => window.tab.take(id, units), [streamId, wanted] as const);

async function everyTab(pages: readonly Page[], expected: object): Promise<void> {
  for (const page of pages) await expect.poll(() => shown(page), { timeout: 20_000 }).toMatchObject(expected);
}

/** A store at the edge, as others than the devices use it. */
function storeAtEdge(name: string, token?: string) {
  const store = connectStore({ url: `${edge.url}/v1/${name}`, ...(token !== undefined && { token: () => token }) });
  return {
    store,
    fill: (streamId: string, units: number) => store.appendToStream(streamId, [{ type: "Filled", data: units }]),
    /** How many units were taken by each event, and by which version that was decided. */
    takenFrom: async (streamId: string) => {
      const { events } = await store.readStream(streamId);
      return events.flatMap((event) => {
        const { type, data } = event as unknown as ShelfEvent;
        return type === "Taken" ? [[data.units, data.decidedBy]] : [];
      });
    },
  };
}

test("two versions of an app in four tabs, and the edge is deployed", { timeout: 120_000 }, async () => {
  const name = crypto.randomUUID();
  const { fill, takenFrom } = storeAtEdge(name);
  // The edge decides the commands of Shelf, and those of Box are the devices' own.
  for (const streamId of ["Shelf-1", "Shelf-2", "Box-1", "Box-2"]) await fill(streamId, 5);
  const old = [await openTab("1", name), await openTab("1", name)] as const;
  const young = [await openTab("2", name), await openTab("2", name)] as const;
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
  const again = await openTab("2", name);
  await everyTab([...old, again], { connection: "online", pending: 0, problem: null, conflicts: [] });
  expect(await takenFrom("Box-2")).toEqual([
    [6, 2],
    [4, 2],
  ]);
  for (const page of [...old, again]) expect(await page.evaluate(() => window.tab.left("Shelf-1"))).toBe(0);
});

test("code that does not know a decider, or has no upcaster: the command is a conflict, and a tab with the code decides it", {
  timeout: 120_000,
}, async () => {
  const name = crypto.randomUUID();
  const { fill, takenFrom } = storeAtEdge(name);
  for (const streamId of ["Box-1", "Box-2"]) await fill(streamId, 5);
  const before = await openTab("before deciders", name);
  const [first, young] = [await openTab("1", name), await openTab("2", name)];
  await everyTab([before, first, young], { connection: "online", pending: 0 });
  for (const page of [first, young])
    for (const id of ["Box-1", "Box-2"]) expect(await page.evaluate((id) => window.tab.left(id), id)).toBe(5);

  // The tabs that could decide are closed while their commands wait.
  proxy.inject({ kind: "refuse" });
  await everyTab([before, first, young], { connection: "offline" });
  await take(first, "Box-1", 7);
  await take(young, "Box-2", 7);
  await everyTab([before], { pending: 2 });
  await Promise.all([first.close(), young.close()]);
  for (const streamId of ["Box-1", "Box-2"]) await fill(streamId, 1);
  proxy.heal();
  const unknown = expect.stringContaining("shelf");
  await everyTab([before], { connection: "online", pending: 0, problem: null, conflicts: [unknown, unknown] });
  await before.close();

  // A version without an upcaster decides its own command, and not the older one.
  const forgetful = await openTab("2 without upcaster", name);
  await everyTab([forgetful], { connection: "online", conflicts: [unknown, unknown] });
  const rebased = forgetful.evaluate(() => window.tab.rebase());
  await expect(rebased).rejects.toThrow("give defineEventTypes an upcaster");
  const again = await openTab("2", name);
  await everyTab([again], { connection: "online", conflicts: [unknown, unknown] });
  await again.evaluate(() => window.tab.rebase());
  await everyTab([forgetful, again], { pending: 0, conflicts: [unknown] });
  await again.evaluate(() => window.tab.rebase());
  await everyTab([forgetful, again], { pending: 0, problem: null, conflicts: [] });
  expect([await takenFrom("Box-1"), await takenFrom("Box-2")]).toEqual([[[6, 2]], [[6, 2]]]);
  await Promise.all([forgetful.close(), again.close()]);
});

test("an old tab that pushes events to a guarded category, meets newer events, or has the database upgraded", {
  timeout: 120_000,
}, async () => {
  await edge.kill();
  await edge.start({ JWT_SECRET: SECRET, ALLOWED_ORIGINS: new URL(server.url).origin, APP: "2" });
  const name = crypto.randomUUID();
  const { fill, takenFrom } = storeAtEdge(name, await signToken({}));
  await fill("Shelf-1", 5);

  // It has no commands, and its token lets give nothing else.
  const token = await signToken({ can: ["read", "handle"] });
  const old = await openTab("before deciders", name, { token });
  await everyTab([old], { connection: "online" });
  await old.evaluate(() => window.tab.append("Shelf-1", 999));
  await everyTab([old], { pending: 1, conflicts: [], problem: "command-required" });
  expect(await takenFrom("Shelf-1")).toEqual([]);

  // Beside it, a new tab's commands are decided.
  const young = await openTab("2", name, { token });
  onTestFailed(async () => console.log(name, await Promise.all([old, young].filter((page) => !page.isClosed()).map(shown))));
  await fill("Shelf-2", 3);
  await everyTab([young], { pending: 1, problem: "command-required" });
  // If it came first, the command would be overtaken on the device, whose leader has no decider for it: a conflict, as above.
  await expect.poll(() => young.evaluate(() => window.tab.left("Shelf-2"))).toBe(3);
  await take(young, "Shelf-2", 2);
  await expect.poll(() => takenFrom("Shelf-2"), { timeout: 20_000 }).toEqual([[2, 2]]);
  await Promise.all([old.close(), young.close()]);

  // An event of a newer version: one app goes on with it as it was recorded, the other one stops before anything is folded.
  const [passing, stopping] = [crypto.randomUUID(), crypto.randomUUID()];
  const goesOn = await openTab("1", passing, { token: await signToken({}) });
  const stops = await openTab("1", stopping, { token: await signToken({}), newerEvents: "stop" });
  await everyTab([goesOn, stops], { connection: "online" });
  for (const page of [goesOn, stops]) await page.evaluate(() => window.tab.watch("Box-1"));
  for (const other of [passing, stopping]) {
    const moved = { type: "Moved", schemaVersion: 2, data: { to: "the cellar" } };
    await storeAtEdge(other, await signToken({})).store.appendToStream("Box-1", [moved]);
  }
  await everyTab([stops], { connection: "outdated" });
  await expect.poll(() => goesOn.evaluate(() => window.tab.unknown), { timeout: 20_000 }).toContain("Moved 2");
  await everyTab([goesOn], { connection: "online", problem: null });

  // A newer version of Headwater upgrades the database.
  await stops.evaluate((name) => window.upgradeDatabase(name), passing);
  await everyTab([goesOn], { connection: "outdated" });
});
