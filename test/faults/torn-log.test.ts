/** A browser whose log of its newest writes was cut in the middle of a record, as a power cut or a kill can do. */
import { readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { BACKENDS } from "../../scripts/engines.mjs";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type PageServer, servePage } from "../support/page-server.ts";
import { dumpOf, open } from "./devices.ts";

let server: PageServer;

beforeAll(async () => {
  server = await servePage("test/faults/page.ts");
});
afterAll(async () => {
  await server?.close();
});

async function openPage(browser: BrowserProcess) {
  const page = browser.context().pages()[0] ?? (await browser.context().newPage());
  await page.waitForFunction(() => window.device !== undefined);
  await open(page, { name: "torn", url: "http://127.0.0.1:9/v1/nowhere", isOnline: false });
  return page;
}

async function append(page: Awaited<ReturnType<typeof openPage>>, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await page.evaluate((commit) => window.device.append("Note-1", commit, "any"), `commit-${n}`);
}

/** Chromium's two databases, and the file that each appends its newest writes to. */
const CASES = [
  ["LevelDB", BACKENDS.LevelDB, /\.leveldb\/\d+\.log$/],
  ["SQLite", BACKENDS.SQLite, /-wal$/],
] as const;

async function logFile(browser: BrowserProcess, form: RegExp): Promise<string> {
  const folder = join(browser.profile, "Default/IndexedDB");
  const files = await readdir(folder, { recursive: true });
  const ofPage = files.filter((file) => file.startsWith(`http_127.0.0.1_${new URL(server.url).port}`));
  const newest = ofPage
    .filter((file) => form.test(file))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error(`There is no log in ${ofPage.join(", ")}`);
  return join(folder, newest);
}

test.each(CASES)(
  "browser with %s killed in the middle of a record: what is appended after the next start is not thrown away by the one after that",
  {
    timeout: 90_000,
  },
  async (_, args, form) => {
    const browser = await startBrowser(server.url, args);
    onTestFinished(() => browser.stop());
    await append(await openPage(browser), 0, 20);
    await browser.kill();
    const log = await logFile(browser, form);
    await truncate(log, (await stat(log)).size - 5);

    await browser.start(server.url);
    const second = await openPage(browser);
    const kept = (await dumpOf(second, ["Note-1"])).streams["Note-1"]?.length ?? 0;
    // The torn record is gone, and what stood before it is not.
    expect(kept).toBeGreaterThan(0);
    await append(second, 20, 40);
    await browser.kill();

    await browser.start(server.url);
    const found = (await dumpOf(await openPage(browser), ["Note-1"])).streams["Note-1"] ?? [];
    expect(found).toHaveLength(kept + 20);
  },
);
