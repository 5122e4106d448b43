/** What the built files run in: the browsers that package.json names as `browserslist`, and the oldest Node of `engines`. */
import { readFileSync } from "node:fs";
import browserslist from "browserslist";

const { browserslist: query, engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

/** E.g. `baseline widely available on 2026-11-29`: with a date, so that a build does not depend on when it is made. */
export const BROWSERS = query;

/** Their names at esbuild. What is not here is another build of one of them. */
const NAMES = { chrome: "chrome", edge: "edge", firefox: "firefox", safari: "safari", ios_saf: "ios" };

/** For esbuild: the oldest version of each, e.g. `["chrome125", …, "node22"]`. It rewrites syntax that is newer. */
export const TARGET = [...Object.entries(NAMES).map(([browser, name]) => name + oldest(browser)), engines.node.replace(">=", "node")];

function oldest(browser) {
  const versions = browserslist(BROWSERS).filter((one) => one.startsWith(`${browser} `));
  return Math.min(...versions.map((one) => Number(one.split(" ")[1].split("-")[0])));
}
