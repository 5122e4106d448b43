/** Many devices whose edge goes away and comes back, over and over, while they record. */
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { SEED } from "../support/seed.ts";
import { feedOf } from "./devices.ts";
import { faultGround } from "./ground.ts";

const DEVICES = 20;
const STREAMS = 12;
/** Seconds between restarts, and how many of them. */
const EVERY = 5;
const RESTARTS = Number(process.env["RESTARTS"] ?? 4);
/** Everything is in step by then, in milliseconds after the last restart, on a busy machine, too. How soon it was is printed. */
const BOUND = 45_000;

const ground = faultGround("test/faults/fleet.ts");

function accountsOf(page: Page) {
  return page.evaluate(() => window.fleet.accounts());
}

test("deploy under load: devices push and pull while the edge is restarted every 5 seconds, and all are in step soon after the last", {
  timeout: 60_000 + RESTARTS * 15_000,
}, async () => {
  const url = `${ground.edge.url}/v1/deploy`;
  const page = await ground.browser.context().newPage();
  await page.goto(ground.server.url);
  await page.waitForFunction(() => window.fleet !== undefined);
  const names = Array.from({ length: DEVICES }, (_, i) => `device-${i}`);
  const streams = Array.from({ length: STREAMS }, (_, i) => `Deploy-${i}`);
  await page.evaluate((options) => window.fleet.open(options), { names, url, streams, seed: SEED, timeout: 5_000, pollEvery: 1_000 });
  await page.evaluate(() => window.fleet.write());
  for (let restart = 0; restart < RESTARTS; restart++) {
    const next = Date.now() + EVERY * 1000;
    await expect.poll(() => Date.now(), { timeout: EVERY * 2000 }).toBeGreaterThan(next);
    await ground.edge.kill();
    await ground.edge.start();
  }
  const since = Date.now();
  await page.evaluate(() => window.fleet.rest());
  const left = async () => {
    const { head } = await connectStore({ url }).health();
    const states = (await accountsOf(page)).map(({ status }) => ({
      pending: status.pending,
      behind: head - (status.cursor?.position ?? 0),
    }));
    return states.filter(({ pending, behind }) => pending > 0 || behind > 0);
  };
  await expect.poll(left, { timeout: BOUND, interval: 50 }).toEqual([]);
  const seconds = (Date.now() - since) / 1000;

  const feed = await feedOf(url);
  const lines = feed.map(({ position, streamId, version, id }) => `#${position} ${streamId}@${version} ${id}`).join("\n");
  for (const log of await page.evaluate(() => window.fleet.logs())) expect(log).toBe(lines);
  const confirmed = new Set(feed.map(({ data }) => (data as { commit: string }).commit));
  const accounts = await accountsOf(page);
  const sums = accounts.map(({ created, conflicts, discarded }) => {
    const fates = created.map((commit) => [confirmed.has(commit), conflicts.includes(commit), discarded.includes(commit)]);
    return fates.filter((fate) => fate.filter(Boolean).length !== 1).length;
  });
  expect(sums).toEqual(accounts.map(() => 0));
  const count = (part: "created" | "conflicts" | "discarded") => accounts.reduce((sum, account) => sum + account[part].length, 0);
  expect(count("created")).toBe(confirmed.size + count("conflicts") + count("discarded"));
  console.log(
    `SEED=${SEED}: ${RESTARTS} restarts, ${count("created")} commits of ${DEVICES} devices: ${confirmed.size} confirmed, ` +
      `${count("conflicts")} conflicts, ${count("discarded")} discarded; in step ${seconds.toFixed(1)} s after the last restart`,
  );
});
