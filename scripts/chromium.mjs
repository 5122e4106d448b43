/** Finds a Chromium for the tests and the bench, and brings one where there is none. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";

export const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @returns the path of an executable; undefined where there is none */
export function findChromium() {
  const candidates = [
    process.env.CHROMIUM,
    chromium.executablePath(),
    "/usr/bin/chromium",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** Playwright's own where it can be fetched, else Debian's package. */
function bringChromium() {
  const ways = [
    [
      "Playwright's own Chromium",
      process.execPath,
      [fileURLToPath(new URL("../node_modules/playwright/cli.js", import.meta.url)), "install", "chromium"],
    ],
    ["the package chromium: update", "apt-get", ["update", "-qq"]],
    ["the package chromium", "apt-get", ["install", "-y", "-qq", "chromium"]],
  ];
  for (const [name, command, args] of ways) {
    console.log(`No Chromium here: trying ${name} …`);
    try {
      execFileSync(command, args, {
        stdio: ["ignore", "ignore", "inherit"],
        timeout: 600_000,
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
    } catch (error) {
      console.log(`  not to be had: ${error.message.split("\n")[0]}`);
    }
    const found = findChromium();
    if (found !== undefined) return found;
  }
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = findChromium() ?? bringChromium();
  if (path === undefined) {
    console.error(
      "The tests need a Chromium. Install one (`apt-get install chromium`, or `npx playwright install chromium`),\nor set CHROMIUM to the path of its executable.",
    );
    process.exit(1);
  }
  console.log(`Chromium: ${path}`);
}
