/**
 * Kills each browser without warning, at any moment of appending and of applying what others appended. `KILLS=200 npx vitest run --project
 * faults test/faults/kill` kills each more often. The seed repeats what is appended and when the kill is sent. It does not repeat what the
 * machine does in between.
 *
 * Chromium on LevelDB does not survive every kill by itself. A kill that cuts a write to LevelDB's log in two leaves half a record. After the restart
 * Chromium continues to write after that half record (LevelDB's `reuse_logs`). At the next restart, however it happens, Chromium takes the
 * log for corrupt, deletes everything that the origin has stored, and reports it (`dataLoss`). When a store is opened, it makes LevelDB
 * begin a new log first. So no kill may end like that.
 */
import { afterAll, beforeAll, type ExpectStatic, test } from "vitest";
import { EDGE_ALONE, type EdgeProcess, startEdge } from "../support/edge.ts";
import { installedBrowsers } from "../support/engines/installed.ts";
import { Random } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { expectAgreement, expectAllAtEdge, expectKept, expectUnmoved, expectWhole } from "./checks.ts";
import { appendElsewhere, feedOf } from "./devices.ts";
import type { DeviceOptions, Report } from "./page.ts";
import { RemoteControl, type RemotePage } from "./remote.ts";
import { RemoteBrowser } from "./remote-browser.ts";

/** Of each browser. */
const KILLS = Number(process.env["KILLS"] ?? 4);
/** A kill is sent within so many milliseconds of the first append, or page, that is told. */
const WINDOW = 300;
/** Events in a page: small, so that many are applied within the window. */
const PAGE = 20;
/** For a device and the edge to come together, in milliseconds. */
const BOUND = 45_000;
/** Kills that a device suffers before a new one takes its place. */
const LIFE = 4;

/** Streams that only the device writes to, ones that others write to as well, and theirs alone. */
const OWN = ["Own-1", "Own-2", "Own-3", "Own-4"];
const SHARED = ["Shared-1", "Shared-2"];
const CONTESTED = ["Contested-1", "Contested-2"];
const THEIRS = ["Theirs-1", "Theirs-2", "Theirs-3"];
const STREAMS = [...OWN, ...SHARED, ...CONTESTED, ...THEIRS];

let edge: EdgeProcess;

beforeAll(async () => {
  edge = await startEdge({ AUTH: "open" }, EDGE_ALONE);
});
afterAll(() => edge?.stop());

/** What the page does when it is killed: append offline, apply many pages of others' events, or push and see its own confirmed. */
const DOINGS = ["appending", "pulling", "pushing"] as const;
type Doing = (typeof DOINGS)[number];

/** A device, and what it was told, over all of its kills. */
interface Victim {
  readonly options: DeviceOptions;
  readonly reports: Report[];
}

function newVictim(durability: "strict" | "relaxed"): Victim {
  const id = crypto.randomUUID();
  return { options: { name: id, url: `${edge.url}/v1/kill-${id.slice(0, 8)}`, durability }, reports: [] };
}

/** Others append, so that there is something to pull, to move behind and to conflict with. */
async function othersAppend({ options: { url } }: Victim, name: string, doing: Doing, random: Random): Promise<void> {
  const many = doing === "pulling" ? random.between(40, 120) : 2;
  const counts = [...THEIRS.map((id) => [id, many]), ...[...SHARED, ...CONTESTED].map((id) => [id, random.between(0, 3)])];
  await appendElsewhere(url, name, Object.fromEntries(counts));
}

/** Has the page work until it is killed, and returns what it reported. */
async function killWhile(
  browser: RemoteBrowser,
  doing: Doing,
  { options }: Victim,
  name: string,
  random: Random,
): Promise<readonly Report[]> {
  const { page } = browser;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined); // whoever waits is told; a page that ends by the kill has not failed
  const begin = (task: Promise<unknown>) => void task.catch(failed.reject);
  const append = (part: string) =>
    begin(page.call("write", { name: `${name}.${part}`, exact: [...OWN, ...CONTESTED], any: SHARED, seed: random.between(0, 2 ** 30) }));
  const told = (kind: Report["kind"], count: number) => Promise.race([page.until(kind, count), failed.promise]);

  await page.call("open", { ...options, isOnline: false, pageEvents: PAGE });
  append("before");
  await told("appended", { appending: 1, pulling: random.between(1, 40), pushing: random.between(60, 140) }[doing]);
  if (doing !== "appending") {
    // Pages then meet pending commits, which move, are parked or settled. The client pulls when there is nothing to push.
    await page.call("rest");
    await page.call("goOnline");
    begin(page.call("keepSyncing"));
    await told("applied", 1);
    append("meanwhile");
  }
  // A moment, not a condition: that it may be any moment is what is tested.
  await new Promise((resolve) => setTimeout(resolve, random.next() * WINDOW));
  await browser.kill();
  return page.reports;
}

/** What a kill left: only some of the pages that the edge had, or nothing at all, by Chromium's own word. */
type Left = "all pages" | "some pages" | "wiped";

async function settled(page: RemotePage, expect: ExpectStatic): Promise<void> {
  await expect.poll(() => page.call("sync"), { timeout: BOUND, interval: 50 }).toBe("done");
}

async function checkAfterKill(page: RemotePage, { options, reports }: Victim, expect: ExpectStatic): Promise<Left> {
  await page.call("open", { ...options, isOnline: false });
  const found = await page.call("dump", STREAMS);
  expectWhole(found);
  if (found.isWiped) return "wiped";
  expectKept(found, reports);
  expectUnmoved(found, reports, OWN);
  const atEdge = (await feedOf(options.url)).length;

  await page.call("goOnline");
  await settled(page, expect);
  if ((await page.call("rebaseAll")) > 0) await settled(page, expect);
  const [after, feed] = [await page.call("dump", STREAMS), await feedOf(options.url)];
  expectAgreement(after, feed);
  expectKept(after, reports);
  expectUnmoved(after, reports, OWN);
  expectAllAtEdge(feed, reports);
  return (found.status.cursor?.position ?? 0) < atEdge ? "some pages" : "all pages";
}

// Side by side: each mostly waits for its browser to start.
test.concurrent.for(installedBrowsers())(
  `$name killed (outbox atomicity): ${KILLS} times, what an append had answered is there, whole, and is confirmed once`,
  {
    timeout: 60_000 + KILLS * 20_000,
  },
  async (installed, { expect, onTestFailed, onTestFinished }) => {
    const control = await RemoteControl.start();
    onTestFinished(() => control.close());
    const browser = await RemoteBrowser.start(control, installed);
    onTestFinished(() => browser.stop());
    const random = new Random(SEED);
    const kills: Record<Doing, number> = { appending: 0, pulling: 0, pushing: 0 };
    const told = { kills, resolved: 0, killedBetweenPages: 0, wipedByChromium: 0 };
    let victim: Victim | undefined;
    onTestFailed(() => console.log(`SEED=${SEED}, by then:`, told, victim?.options));
    for (let kill = 0; kill < KILLS; kill++) {
      if (victim === undefined || kill % LIFE === 0) victim = newVictim(random.of(["strict", "relaxed"]));
      const doing = random.of(DOINGS);
      kills[doing]++;
      await othersAppend(victim, `theirs-${kill}`, doing, random);
      const reports = await killWhile(browser, doing, victim, `mine-${kill}`, random);
      victim.reports.push(...reports);
      told.resolved += reports.filter(({ kind }) => kind === "appended").length;
      await browser.restart();
      const left = await checkAfterKill(browser.page, victim, expect);
      if (left === "some pages" && doing !== "appending") told.killedBetweenPages++;
      if (left !== "wiped") continue;
      told.wipedByChromium++;
      victim = undefined;
    }
    console.log(`${installed.name}, SEED=${SEED} KILLS=${KILLS}`, told);
    expect(told.resolved).toBeGreaterThanOrEqual(KILLS);
    // A log that was cut in the middle of a record would be (`torn-log.test.ts`).
    expect(told.wipedByChromium).toBe(0);
  },
);
