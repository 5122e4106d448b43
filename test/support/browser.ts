/** A Chromium in a process of its own: it can be killed without warning, and started again on the same profile. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

const START_TIMEOUT = 30_000;

export interface BrowserProcess {
  /** The folder that it keeps its data in. */
  readonly profile: string;
  /** What keeps its data in the profile. Another object after each start. */
  context(): BrowserContext;
  /** SIGKILL for all of its processes, sent before this returns; resolves when none of them is left. */
  kill(): Promise<void>;
  /** @param url what its first page shows */
  start(url?: string): Promise<void>;
  /** Ends it and removes its profile. */
  stop(): Promise<void>;
}

/** @param more arguments of Chromium's */
export async function startBrowser(url?: string, more: readonly string[] = []): Promise<BrowserProcess> {
  const profile = await mkdtemp(join(tmpdir(), "headwater-browser-"));
  let child: ChildProcess | undefined;
  let gone: Promise<unknown> | undefined;
  let context: BrowserContext | undefined;

  async function start(first = "about:blank"): Promise<void> {
    // A killed browser leaves the port of its own behind.
    await rm(join(profile, "DevToolsActivePort"), { force: true });
    child = launch(profile, first, more);
    // All processes of a browser hold its standard error: when that is closed, the last of them is gone, and its files are free.
    gone = once(child, "close");
    const browser = await chromium.connectOverCDP(await devTools(profile, child));
    context = browser.contexts()[0];
  }

  async function kill(): Promise<void> {
    if (child !== undefined) signalGroup(child);
    child = undefined;
    context = undefined;
    await gone;
  }

  await start(url);
  return {
    profile,
    context: () => {
      if (context === undefined) throw new Error("the browser does not run");
      return context;
    },
    kill,
    start,
    stop: async () => {
      await kill();
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** A browser ends when the pipe to its DevTools does, and so with the test's process, however that ends. */
function launch(profile: string, url: string, more: readonly string[]): ChildProcess {
  const args = [
    ...CHROMIUM_ARGS,
    ...more,
    "--headless=new",
    "--remote-debugging-port=0",
    "--remote-debugging-pipe",
    `--user-data-dir=${profile}`,
    url,
  ];
  const child = spawn(findChromium() ?? "chromium", args, { detached: true, stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  child.stderr?.resume();
  return child;
}

/** The address of its DevTools, once it is written. */
async function devTools(profile: string, child: ChildProcess): Promise<string> {
  const deadline = Date.now() + START_TIMEOUT;
  for (;;) {
    const [port, path] = (await readFile(join(profile, "DevToolsActivePort"), "utf8").catch(() => "")).split("\n");
    if (port !== undefined && path !== undefined) return `ws://127.0.0.1:${port}${path}`;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error("Chromium did not start");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function signalGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // the group is gone already
  }
}
