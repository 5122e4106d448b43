/** Finds a Chromium for the tests and the bench, and installs one if there is none. */
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

/** @returns the path of an executable; undefined if there is none */
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

/** Installs Playwright's own Chromium. If it can't be downloaded, installs Debian's package. */
function installChromium() {
  const ways = [
    [
      "Playwright's own Chromium",
      process.execPath,
      [fileURLToPath(new URL("../node_modules/playwright/cli.js", import.meta.url)), "install", "chromium"],
    ],
    ["the list of Debian's packages", "apt-get", ["update", "-qq"]],
    ["Debian's package chromium", "apt-get", ["install", "-y", "-qq", "chromium"]],
  ];
  for (const [name, command, args] of ways) {
    console.log(`No Chromium was found. Installing ${name} …`);
    try {
      execFileSync(command, args, {
        stdio: ["ignore", "ignore", "inherit"],
        timeout: 600_000,
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
    } catch (error) {
      console.log(`  failed: ${error.message.split("\n")[0]}`);
    }
    const found = findChromium();
    if (found !== undefined) return found;
  }
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = findChromium() ?? installChromium();
  if (path === undefined) {
    console.error(
      "The tests need Chromium, and it could not be installed. Install it (`apt-get install chromium` or `npx playwright install chromium`),\nor set CHROMIUM to the path of its executable.",
    );
    process.exit(1);
  }
  console.log(`Chromium: ${path}`);
}
