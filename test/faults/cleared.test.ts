/** A person who clears the site's data while the app is open. */
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { converged, feedOf, open } from "./devices.ts";
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
