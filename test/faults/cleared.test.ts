/** A person who clears the site's data while the app is open. */
import { expect, test } from "vitest";
import { converged, feedOf, open } from "./devices.ts";
import { faultGround } from "./ground.ts";

const ground = faultGround();

test("site data cleared: what the app records then reaches the edge, and what the edge has comes back", { timeout: 60_000 }, async () => {
  const url = `${ground.edge.url}/v1/cleared`;
  const page = await ground.newPage();
  await open(page, { name: "cleared", url, pollEvery: 300, timeout: 3_000 });
  await page.evaluate(() => window.device.append("Note-1", "before", "any"));
  await converged([page], url);
  const session = await page.context().newCDPSession(page);
  await session.send("Storage.clearDataForOrigin", { origin: new URL(ground.server.url).origin, storageTypes: "indexeddb" });
  await page.evaluate(() => window.device.append("Note-2", "behind", "any"));
  await converged([page], url);
  const commits = (await feedOf(url)).map(({ data }) => (data as { commit: string }).commit);
  expect(commits.sort()).toEqual(["before", "behind"]);
});
