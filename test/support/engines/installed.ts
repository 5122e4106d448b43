/** The browsers of this machine, each as a program that can be killed and started again on the same profile. No driver controls them. */
import { CHROMIUM_ARGS, findChromium } from "../../../scripts/chromium.mjs";
import { BACKENDS, findFirefox, findWebKit } from "../../../scripts/engines.mjs";
import { startFirefox } from "./firefox.ts";
import { type Killable, ProcessGroup } from "./group.ts";
import { startWebKit } from "./webkit.ts";

export interface InstalledBrowser {
  readonly name: string;
  /** @param profile the folder that it keeps its data in @param url what its first page shows */
  start(profile: string, url: string): Promise<Killable>;
}

/** Engines that are not installed are left out: scripts/engines.mjs says so. */
export function installedBrowsers(): InstalledBrowser[] {
  return [
    ...Object.entries(BACKENDS).map(([name, args]) => ({ name: `Chromium with ${name}`, start: startChromium(args) })),
    ...(findFirefox() === undefined ? [] : [{ name: "Firefox", start: startFirefox }]),
    ...(findWebKit() === undefined ? [] : [{ name: "WebKit", start: startWebKit }]),
  ];
}

function startChromium(args: readonly string[]): InstalledBrowser["start"] {
  return async (profile, url) =>
    new ProcessGroup(findChromium() ?? "chromium", [...CHROMIUM_ARGS, ...args, "--headless=new", `--user-data-dir=${profile}`, url]);
}
