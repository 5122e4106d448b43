/** The browser engines of this machine, and a page in one of them, with a new profile on the disk. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findChromium } from "../../scripts/chromium.mjs";
import { BACKENDS, findFirefox, missingEngines, OTHER_ENGINES } from "../../scripts/engines.mjs";
import type { Killable } from "../../test/support/engines/group.ts";
import { type InstalledBrowser, installedBrowsers } from "../../test/support/engines/installed.ts";
import { removeProfile } from "../../test/support/engines/profile.ts";
import { keepBrowser, keepFiles } from "../running.ts";
import { BenchOrigin, bundlePage, type PageSource } from "./server.ts";

export const ENGINES: readonly string[] = [
  ...Object.keys(BACKENDS).map((name) => `Chromium with ${name}`),
  ...OTHER_ENGINES.map(({ name }) => name),
];

/** @returns the engine if it is installed, or why it can't be used */
export function engineOf(name: string): InstalledBrowser | { readonly why: string } {
  const engine = installedBrowsers().find((installed) => installed.name === name);
  if (name.startsWith("Chromium") && findChromium() === undefined) return { why: "Chromium is not installed: node scripts/chromium.mjs" };
  return engine ?? { why: missingEngines().find((line) => line.startsWith(name)) ?? `${name} is not installed.` };
}

const run = promisify(execFile);

/** As the engine's program, or the page, says it. */
export async function engineVersion(name: string, origin: BenchOrigin): Promise<string> {
  const path = name.startsWith("Chromium") ? findChromium() : name === "Firefox" ? findFirefox() : undefined;
  if (path !== undefined) {
    const { stdout } = await run(path, ["--version"]);
    return /\d[\d.]+\w*/.exec(stdout)?.[0] ?? stdout.trim();
  }
  const agent = await origin.call("userAgent");
  return /Version\/[\d.]+/.exec(agent)?.[0].replace("Version/", "WebKitGTK, Safari's version ") ?? agent;
}

export interface BrowserSession {
  readonly name: string;
  readonly source: PageSource;
  /** The origin whose page is shown first. */
  readonly origin: BenchOrigin;
  /** Bytes of all files that the browser keeps. */
  profileBytes(): Promise<number>;
  /** Ends the browser, and starts it again on the same profile. */
  restart(): Promise<void>;
  /** Ends the browser, and removes its profile. */
  close(): Promise<void>;
}

export async function openBrowser(engine: InstalledBrowser): Promise<BrowserSession> {
  const source = await bundlePage();
  const origin = await BenchOrigin.start(source);
  const profile = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const remove = keepFiles(() => removeProfile(profile));
  const start = (): Promise<Killable> => keepBrowser(engine.start(profile, origin.url));
  let browser = await start();
  return {
    name: engine.name,
    source,
    origin,
    profileBytes: () => bytesOf(profile),
    restart: async () => {
      await browser.kill();
      browser = await start();
    },
    close: async () => {
      await browser.kill();
      await origin.close();
      await remove();
    },
  };
}

async function bytesOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  // A browser that runs may remove files meanwhile.
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      stat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
