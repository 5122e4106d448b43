/** Tabs of one device in a real browser: the one that leads is frozen, crashes or closes, and comes back. */
import type { CDPSession, Page } from "playwright";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { TcpProxy } from "../support/proxy.ts";
import { SEED } from "../support/seed.ts";
import { expectAgreement } from "./checks.ts";
import { converged, dumpOf, feedOf, open, statusOf, write } from "./devices.ts";
import { faultGround } from "./ground.ts";

const STREAMS = ["Note-1", "Note-2"];

const ground = faultGround();
let proxies: TcpProxy[];
let pages: Page[];
let name: string;
let url: string;

beforeEach(() => {
  name = crypto.randomUUID();
  url = `${ground.edge.url}/v1/${name}`;
  proxies = [];
  pages = [];
});
afterEach(async () => {
  await Promise.all(pages.map((page) => page.close()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
});

/** A tab with a network of its own, so that its requests can be told from others'. */
async function openTab(): Promise<{ page: Page; proxy: TcpProxy; session: CDPSession }> {
  const page = await ground.newPage();
  pages.push(page);
  const proxy = await TcpProxy.start(ground.edge.url);
  proxies.push(proxy);
  await open(page, { name, url, via: proxy.url, timeout: 3_000, pollEvery: 300 });
  return { page, proxy, session: await page.context().newCDPSession(page) };
}

/** The first tab of a device leads. */
async function twoTabs() {
  const leader = await openTab();
  await expect.poll(async () => (await statusOf(leader.page)).connection).toBe("online");
  return { leader, other: await openTab() };
}

/**
 * Nothing of the page runs any more, wherever it is. A debugger does it, since the browser itself freezes only pages that are
 * hidden and hold no lock; what holds up a page for ever in the wild is another script, a dialog or a laptop's lid.
 */
async function freeze(session: CDPSession): Promise<void> {
  const paused = new Promise<void>((resolve) => session.once("Debugger.paused", () => resolve()));
  await session.send("Debugger.enable");
  await session.send("Debugger.pause");
  await paused;
}

async function thaw(session: CDPSession): Promise<void> {
  await session.send("Debugger.resume");
  await session.send("Debugger.disable");
}

const append = (page: Page, part: string) => write(page, { name: part, exact: [], any: STREAMS, seed: SEED, most: 5 });

async function expectInStep(...tabs: readonly Page[]): Promise<void> {
  await converged(tabs, url);
  const feed = await feedOf(url);
  for (const tab of tabs) expectAgreement(await dumpOf(tab, STREAMS), feed);
}

const problemOf = (page: Page) =>
  page.evaluate(() => {
    const { problem } = window.device.status();
    return problem && { code: problem.code, message: problem.message };
  });

const timeout = 90_000;

test("leader closed: the other tab takes over at once", { timeout }, async () => {
  const { leader, other } = await twoTabs();
  await append(leader.page, "leader");
  await leader.page.close({ runBeforeUnload: false });
  await append(other.page, "other");
  await expectInStep(other.page);
});

test("a tab that can't load sync leaves the lead to another, which pushes what the first has recorded", { timeout }, async () => {
  const page = await ground.newPage();
  pages.push(page);
  // As after a deployment that has removed the files of the version before.
  await page.route("**/session-*.js", (route) => route.abort());
  await open(page, { name, url, timeout: 3_000, pollEvery: 300 });
  await append(page, "first");
  await expect
    .poll(() => problemOf(page))
    .toEqual({ code: "unavailable", message: expect.stringMatching(/^A part of the app can't be loaded: .* Reload the web page\.$/) });
  const other = await openTab();
  await expectInStep(page, other.page);
  expect((await feedOf(url)).length).toBeGreaterThan(0);
});

test("leader crashed: the other tab takes over, and what the crashed one had recorded goes on", { timeout }, async () => {
  const { leader, other } = await twoTabs();
  leader.proxy.inject({ kind: "blackhole" });
  await append(leader.page, "leader");
  const crashed = leader.page.waitForEvent("crash");
  // It never answers: its page is gone.
  leader.session.send("Page.crash").catch(() => undefined);
  await crashed;
  await append(other.page, "other");
  await expectInStep(other.page);
});

test("leader frozen: another takes over within 20 seconds; thawed in the middle of a push and of a page, the old one does no harm and follows", {
  timeout,
}, async () => {
  const { leader, other } = await twoTabs();
  await append(leader.page, "before");
  await expectInStep(leader.page, other.page);
  // What it asks for from now on is answered late, so that it freezes with a request under way.
  leader.proxy.inject({ kind: "delay", milliseconds: 1_000 });
  await append(leader.page, "under way");
  await freeze(leader.session);
  await connectStore({ url }).appendToStream("Note-1", [{ type: "Marked", data: { commit: "elsewhere", n: 0, of: 1 } }]);
  await append(other.page, "other");
  await expect
    .poll(async () => statusOf(other.page), { timeout: 20_000, interval: 100 })
    .toMatchObject({ connection: "online", pending: 0 });
  await expectInStep(other.page);
  leader.proxy.heal();
  await thaw(leader.session);
  await append(leader.page, "thawed");
  await append(other.page, "other again");
  await expectInStep(leader.page, other.page);
});

test("a tab is stopped in the middle of a transaction: an append of another tab is given up in time, and nothing is there twice when it goes on", {
  timeout: 120_000,
}, async () => {
  const { leader, other } = await twoTabs();
  const record = (commit: string) =>
    other.page.evaluate(
      (text) =>
        window.device.append("Note-1", text, "any").then(
          () => "recorded",
          (error: { code?: string }) => error.code,
        ),
      commit,
    );
  expect(await record("before")).toBe("recorded");
  await converged([leader.page, other.page], url);
  await leader.page.evaluate(
    (database) =>
      new Promise<void>((resolve) => {
        const request = indexedDB.open(database);
        request.addEventListener("success", () => {
          const tx = request.result.transaction([...request.result.objectStoreNames], "readwrite");
          let isHeld = true;
          const hold = () => {
            if (isHeld) tx.objectStore("meta").get("history").addEventListener("success", hold);
          };
          hold();
          const goOn = () => {
            isHeld = false;
          };
          Object.assign(window, { goOn });
          resolve();
        });
      }),
    name,
  );
  await freeze(leader.session);
  expect(await record("given up")).toBe("storage-failed");
  expect(await problemOf(other.page)).toEqual({ code: "storage-failed", message: expect.stringContaining("Another tab holds the store") });
  await thaw(leader.session);
  await leader.page.evaluate(() => Reflect.get(window, "goOn")());
  await expect.poll(() => record("after"), { timeout: 60_000 }).toBe("recorded");
  await converged([leader.page, other.page], url);
  expect(await problemOf(other.page)).toBeNull();
  expect((await feedOf(url)).map(({ data }) => (data as { commit: string }).commit)).toEqual(["before", "after"]);
});
