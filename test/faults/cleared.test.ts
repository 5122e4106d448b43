/** A person who clears the site's data while the app is open. */
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { converged, feedOf, open, statusOf, sync } from "./devices.ts";
import { faultGround } from "./ground.ts";

const ground = faultGround();

/** As a person clears the site's data. */
async function clearing(page: Page): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page);
  const { origin } = new URL(ground.server.url);
  return async () => {
    await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
  };
}

test("site data cleared: what the app records then reaches the edge, and what the edge has comes back", { timeout: 60_000 }, async () => {
  const url = `${ground.edge.url}/v1/cleared`;
  const page = await ground.newPage();
  await open(page, { name: "cleared", url, pollEvery: 300, timeout: 3_000 });
  await page.evaluate(() => window.device.append("Note-1", "before", "any"));
  await converged([page], url);
  const clear = await clearing(page);
  await clear();
  await page.evaluate(() => window.device.append("Note-2", "behind", "any"));
  await converged([page], url);
  const commits = (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
  expect(commits.sort()).toEqual(["before", "behind"]);
});

const OFFLINE = "http://127.0.0.1:9/v1/nowhere";

test("site data cleared under a tab with pending commits: sync says so when the network is back, and so does the status", {
  timeout: 60_000,
}, async () => {
  const name = "cleared-pending";
  const url = `${ground.edge.url}/v1/${name}`;
  const page = await ground.newPage();
  await open(page, { name, url, pollEvery: 300, timeout: 3_000, isOnline: false });
  for (const n of [1, 2, 3]) await page.evaluate((stream) => window.device.append(stream, stream, "any"), `Note-${n}`);
  const clear = await clearing(page);
  await clear();
  await page.evaluate(() => window.device.goOnline());
  await expect.poll(() => sync(page), { timeout: 20_000 }).toBe("commits-lost");
  const { lost, pending } = await statusOf(page);
  expect({ lost, pending }).toEqual({
    lost: { commits: 3, since: expect.any(String), streamIds: ["Note-1", "Note-2", "Note-3"] },
    pending: 0,
  });
  expect(await feedOf(url)).toEqual([]);
  await page.evaluate(() => window.device.dismissLoss());
  expect(await sync(page)).toBe("done");
});

test("a database deleted by other code between two starts with pending commits: the next start says so", { timeout: 60_000 }, async () => {
  const name = "deleted-pending";
  const page = await ground.newPage();
  await open(page, { name, url: OFFLINE, isOnline: false });
  for (const n of [1, 2]) await page.evaluate((stream) => window.device.append(stream, stream, "any"), `Note-${n}`);
  await expect.poll(() => page.evaluate((key) => localStorage.getItem(key)?.includes('"commits":2'), `headwater:${name}`)).toBe(true);
  await page.reload();
  await page.waitForFunction(() => window.device !== undefined);
  const request = (database: string) =>
    new Promise<void>((resolve) => {
      indexedDB.deleteDatabase(database).addEventListener("success", () => resolve());
    });
  await page.evaluate(request, name);
  await open(page, { name, url: OFFLINE, isOnline: false });
  expect((await statusOf(page)).lost).toMatchObject({ commits: 2, streamIds: ["Note-1", "Note-2"] });
});

test("site data cleared under two tabs that append in turn: each stream has its versions once, from the first one on", {
  timeout: 60_000,
}, async () => {
  const name = "cleared-two";
  const [a, b] = [await ground.newPage(), await ground.newPage()];
  for (const page of [a, b]) await open(page, { name, url: OFFLINE, isOnline: false });
  const append = (page: Page, streamId: string, commit: string) =>
    page.evaluate((given) => window.device.append(...given, "any"), [streamId, commit] as const);
  const clear = await clearing(a);
  for (let round = 0; round < 10; round++) {
    await append(a, "Note-1", `a.${round}`);
    await clear();
    await append(b, "Note-2", `b.${round}`);
    await a.evaluate(() => window.device.dump(["Note-1"]));
    // A read has opened the connection again: the append is a first try. The outbox gives it the number that the tab expects next.
    await append(a, "Note-1", `c.${round}`);
    await append(a, "Note-2", `d.${round}`);
    const { streams } = await a.evaluate(() => window.device.dump(["Note-1", "Note-2"]));
    const held = Object.values(streams).map((events) => events.map(({ version, data }) => [version, (data as { commit: string }).commit]));
    expect(held).toEqual([
      [[1, `c.${round}`]],
      [
        [1, `b.${round}`],
        [2, `d.${round}`],
      ],
    ]);
    await clear();
  }
});

test("site data cleared again and again while the app appends: every append resolves, and none is recorded twice", {
  timeout: 120_000,
}, async () => {
  const url = `${ground.edge.url}/v1/cleared-often`;
  const page = await ground.newPage();
  const uncaught: string[] = [];
  page.on("pageerror", (error) => uncaught.push(String(error)));
  await open(page, { name: "cleared-often", url, pollEvery: 300, timeout: 3_000 });
  const clear = await clearing(page);
  for (let round = 0; round < 30; round++) {
    const isCleared = clear();
    // Half of the rounds append when the connection was closed, and half while that happens.
    if (round % 2 === 0) await isCleared;
    await page.evaluate(async (name) => {
      for (const part of ["a", "b", "c"]) await window.device.append("Note-1", `${name}.${part}`, "any");
    }, `round-${round}`);
    await isCleared;
  }
  await page.evaluate(() => window.device.append("Note-1", "last", "any"));
  await converged([page], url);
  const commits = (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
  expect(commits).toContain("last");
  expect(new Set(commits).size).toBe(commits.length);
  expect(uncaught).toEqual([]);
});
