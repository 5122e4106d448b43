/** The process in which WebKit holds IndexedDB is killed under an open tab, as iOS does if memory is short. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { installedBrowsers } from "../support/engines/installed.ts";
import { RemoteControl } from "./remote.ts";
import { RemoteBrowser } from "./remote-browser.ts";

let control: RemoteControl;
beforeAll(async () => {
  control = await RemoteControl.start();
});
afterAll(() => control?.close());

/** Resolves with how many processes of this browser were killed. */
async function killStorage({ profile, page }: RemoteBrowser): Promise<number> {
  const again = page.askedAgain();
  const lines = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
  const ids = lines.flatMap((line) => (line.includes("WebKitNetworkProcess") ? [Number.parseInt(line, 10)] : []));
  let killed = 0;
  for (const id of ids) {
    // Those of other browsers may be gone by now.
    const env = await readFile(`/proc/${id}/environ`, "utf8").catch(() => "");
    if (!env.includes(profile)) continue;
    process.kill(id, "SIGKILL");
    killed++;
  }
  // It sends the page's requests, too.
  await again;
  return killed;
}

const webkit = installedBrowsers().filter(({ name }) => name === "WebKit");

test.runIf(webkit.length > 0)(
  "WebKit's storage process is killed: the tab goes on, and each commit is there once",
  {
    timeout: 120_000,
  },
  async () => {
    const [installed] = webkit;
    if (installed === undefined) throw new Error("WebKit is installed here");
    const browser = await RemoteBrowser.start(control, installed);
    onTestFinished(() => browser.stop());
    const { page } = browser;
    await page.call("open", { name: "process", url: "http://127.0.0.1:9/v1/nowhere", isOnline: false });
    const commits = ["0.a", "0.b", "1.a", "1.b", "2.a", "2.b"];
    for (const commit of commits) {
      // Before the first commit of each round but one.
      if (commit.endsWith("a") && commit !== "0.a") expect(await killStorage(browser)).toBe(1);
      await page.call("append", "Note-1", commit, "any");
    }
    const { streams, status } = await page.call("dump", ["Note-1"]);
    expect(streams["Note-1"]?.map(({ version, data }) => [version, (data as { commit: string }).commit])).toEqual(
      commits.map((commit, i) => [i + 1, commit]),
    );
    expect(status).toMatchObject({ pending: 6, lost: null });
  },
);
