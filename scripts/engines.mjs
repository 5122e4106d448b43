/**
 * Finds the Firefox and the WebKit that the tests run in beside Chromium. Without them the tests of these engines don't run, and this script
 * says so and how to install them. Where the environment has `CI`, it installs them, and fails if it can't.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The two databases that Chromium has below IndexedDB, with the arguments that choose one. Its default moves from the first to the second. */
export const BACKENDS = {
  LevelDB: ["--disable-features=IdbSqliteBackingStore"],
  SQLite: ["--enable-features=IdbSqliteBackingStore"],
};

const DRIVER = "/usr/bin/WebKitWebDriver";
const DISPLAY_SERVER = "/usr/bin/Xvfb";

/** @returns the path of an executable; undefined if there is none */
export function findFirefox() {
  const candidates = [process.env.FIREFOX, "/usr/bin/firefox-esr", "/usr/bin/firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** @returns the paths of WebKitGTK's browser, of its driver, and of the server of the display that it needs; undefined if one is missing */
export function findWebKit() {
  const browser = libraryFolders()
    .map((folder) => `${folder}/MiniBrowser`)
    .find(existsSync);
  if (browser === undefined || !existsSync(DRIVER) || !existsSync(DISPLAY_SERVER)) return undefined;
  return { browser, driver: DRIVER, displayServer: DISPLAY_SERVER };
}

/** Where Debian has WebKitGTK, e.g. `/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1`; the newest first. */
function libraryFolders() {
  const places = existsSync("/usr/lib") ? readdirSync("/usr/lib").filter((name) => name.endsWith("-linux-gnu")) : [];
  return places
    .flatMap((place) =>
      readdirSync(`/usr/lib/${place}`).flatMap((name) => (/^webkit(2)?gtk-/.test(name) ? [`/usr/lib/${place}/${name}`] : [])),
    )
    .sort()
    .reverse();
}

export const OTHER_ENGINES = [
  { name: "Firefox", find: findFirefox, install: ["firefox-esr"] },
  { name: "WebKit", find: findWebKit, install: ["--no-install-recommends", "webkit2gtk-driver", "xvfb"] },
];

/** @returns a line for each engine that is not there, with what to do */
export function missingEngines() {
  return OTHER_ENGINES.filter(({ find }) => find() === undefined).map(
    ({ name, install }) => `${name} is not installed: these tests did not run. To install it: apt-get install ${install.join(" ")}`,
  );
}

function installMissing() {
  const apt = (...args) =>
    execFileSync("apt-get", args, {
      stdio: ["ignore", "ignore", "inherit"],
      timeout: 600_000,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  const missing = OTHER_ENGINES.filter(({ find }) => find() === undefined);
  if (missing.length > 0) apt("update", "-qq");
  for (const { name, install } of missing) {
    console.log(`Installing ${name} …`);
    apt("install", "-y", "-qq", ...install);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isRequired = (process.env.CI ?? "") !== "";
  if (isRequired) installMissing();
  const missing = missingEngines();
  for (const line of missing) console.log(line);
  if (isRequired && missing.length > 0) process.exitCode = 1;
}
