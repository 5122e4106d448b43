/** A browser whose LevelDB log was cut in the middle of a record, as a power cut or a kill can do. */
import { readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { dumpOf, open } from "./devices.ts";

let server: PageServer;
let browser: BrowserProcess;

beforeAll(async () => {
  server = await servePage("test/faults/page.ts");
  browser = await startBrowser(server.url);
});
afterAll(async () => {
  await Promise.all([browser?.stop(), server?.close()]);
});

async function openPage() {
  const page = browser.context().pages()[0] ?? (await browser.context().newPage());
  await page.waitForFunction(() => window.device !== undefined);
  await open(page, { name: "torn", url: "http://127.0.0.1:9/v1/nowhere", isOnline: false });
  return page;
}

async function append(page: Awaited<ReturnType<typeof openPage>>, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await page.evaluate((commit) => window.device.append("Note-1", commit, "any"), `commit-${n}`);
}

/** The newest log of the page's databases. */
async function logFile(): Promise<string> {
  const folder = join(browser.profile, "Default/IndexedDB", `http_127.0.0.1_${new URL(server.url).port}.indexeddb.leveldb`);
  const logs = (await readdir(folder)).filter((file) => file.endsWith(".log")).sort();
  return join(folder, logs.at(-1) ?? "");
}

test("browser killed in the middle of a record: what is appended after the next start is not thrown away by the one after that", {
  timeout: 90_000,
}, async () => {
  await append(await openPage(), 0, 20);
  await browser.kill();
  const log = await logFile();
  await truncate(log, (await stat(log)).size - 5);

  await browser.start(server.url);
  const second = await openPage();
  const kept = (await dumpOf(second, ["Note-1"])).streams["Note-1"]?.length ?? 0;
  // The torn record is gone, and what stood before it is not.
  expect(kept).toBeGreaterThan(0);
  await append(second, 20, 40);
  await browser.kill();

  await browser.start(server.url);
  const found = (await dumpOf(await openPage(), ["Note-1"])).streams["Note-1"] ?? [];
  expect(found).toHaveLength(kept + 20);
});
