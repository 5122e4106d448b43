/**
 * A disk that is full for a moment, below the browser's databases. It is a small file system in memory, which only root can mount: where that
 * is not possible, these tests do not run, and say so. Where the environment has `CI`, they fail instead.
 */
import { execFileSync } from "node:child_process";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { installedBrowsers } from "../support/engines/installed.ts";
import { incompressible, Random } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { RemoteControl } from "./remote.ts";
import { RemoteBrowser } from "./remote-browser.ts";

/** Bytes of the disk, and those that are left when it is full: less than an append needs, so that its record is cut in the middle. */
const [DISK, LEFT] = [16_000_000, 40_000];

/** Characters of a large append. */
const LARGE = 60_000;

const canMount = process.platform === "linux" && process.getuid?.() === 0;
const isRequired = (process.env["CI"] ?? "") !== "";
if (!canMount) console.log("Only root can mount a small file system: the tests of a full disk do not run here.");

/** Below the profile. A file system in memory is put there before anything is stored. */
function databasesOf(name: string): string {
  if (name.startsWith("Chromium")) return "Default/IndexedDB";
  return name === "Firefox" ? "storage/default" : "data";
}

let control: RemoteControl;
beforeAll(async () => {
  control = await RemoteControl.start();
});
afterAll(() => control?.close());

interface Disk {
  fill(): Promise<void>;
  makeRoom(): Promise<void>;
  unmount(): void;
}

async function mountDisk({ profile }: RemoteBrowser, name: string): Promise<Disk> {
  const folder = join(profile, databasesOf(name));
  const ballast = join(folder, "ballast");
  await mkdir(folder, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK}`, "tmpfs", folder]);
  return {
    fill: async () => {
      const { bavail, bsize } = await statfs(folder);
      await writeFile(ballast, Buffer.alloc(bavail * bsize - LEFT));
    },
    makeRoom: () => rm(ballast),
    unmount: () => void execFileSync("umount", ["--lazy", folder]),
  };
}

/** Without the text that makes it large. */
function nameOf(commit: string): string {
  return commit.slice(0, 20);
}

async function held({ page }: RemoteBrowser): Promise<string[]> {
  const { streams } = await page.call("dump", ["Note-1"]);
  return (streams["Note-1"] ?? []).map(({ data }) => nameOf((data as { commit: string }).commit));
}

test.runIf(canMount || isRequired).each(installedBrowsers())(
  "$name on a disk that is full for a moment: what was recorded before and after is there when the browser starts again",
  { timeout: 180_000 },
  async (installed) => {
    const browser = await RemoteBrowser.start(control, installed);
    onTestFinished(() => browser.stop());
    const random = new Random(SEED);
    const disk = await mountDisk(browser, installed.name);
    onTestFinished(async () => {
      await browser.kill();
      disk.unmount();
    });
    const open = () => browser.page.call("open", { name: "full", url: "http://127.0.0.1:9/v1/nowhere", isOnline: false });
    await open();
    const recorded: string[] = [];
    const record = async (commit: string): Promise<string> => {
      try {
        await browser.page.call("append", "Note-1", commit, "any");
        recorded.push(nameOf(commit));
        return "recorded";
      } catch (error) {
        return String(error);
      }
    };
    for (let n = 0; n < 20; n++) expect(await record(`before ${n}`)).toBe("recorded");
    await disk.fill();
    let outcome = "recorded";
    for (let n = 0; outcome === "recorded"; n++) outcome = await record(`${n} ${incompressible(random, LARGE)}`);
    // WebKit aborts the transaction without a reason.
    const why = installed.name === "WebKit" ? /StorageFailedError: The transaction was aborted/ : /StoreFullError/;
    expect(outcome).toMatch(why);
    // Nor does the next one say something else.
    expect(await record(`again ${incompressible(random, LARGE)}`)).toMatch(why);
    await disk.makeRoom();
    await expect.poll(() => record(`room ${recorded.length}`), { timeout: 20_000 }).toBe("recorded");
    for (let n = 0; n < 30; n++) expect(await record(`after ${n}`)).toBe("recorded");
    expect(await held(browser)).toEqual(recorded);

    await browser.kill();
    await browser.restart();
    await open();
    expect(await held(browser)).toEqual(recorded);
  },
);
