import { existsSync, globSync, readFileSync, statfsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { CHROMIUM_ARGS, findChromium } from "./scripts/chromium.mjs";
import { BACKENDS, findFirefox, findWebKit } from "./scripts/engines.mjs";
import { verify } from "./test/support/commands.ts";
import { drivenProvider } from "./test/support/engines/driven.ts";
import { driveFirefox } from "./test/support/engines/firefox.ts";
import { EngineTable } from "./test/support/engines/table.ts";
import { driveWebKit } from "./test/support/engines/webkit.ts";

const executablePath = findChromium();
const chromium = (...more: string[]) =>
  playwright({ launchOptions: { ...(executablePath === undefined ? {} : { executablePath }), args: [...CHROMIUM_ARGS, ...more] } });

/** How many of the lines of a file one engine takes, from the first. The others take fewer: most of the time is the edge's. */
const most = {
  permits: Number(process.env["PERMITS"] ?? 1000),
  tickets: Number(process.env["TICKETS"] ?? 1000),
  transactions: Number(process.env["TRANSACTIONS"] ?? 8000),
};
const fewer = { permits: 600, tickets: 600, transactions: 3000 };
/** Of `expect.poll`, in milliseconds. Vitest's own second is too short where two others work. */
const patient = { poll: { timeout: 45_000 } };
/** What runs in a web page, in every engine alike. */
const inBrowser = {
  include: ["test/browser/**/*.browser.test.ts", "test/contract/*.browser.test.ts"],
  globalSetup: ["test/support/browser-setup.ts"],
  provide: { lines: fewer },
  testTimeout: 60_000,
  expect: patient,
};
const headless = { enabled: true, headless: true, screenshotFailures: false, commands: { verify } };
/** Engines that are not installed are left out: scripts/engines.mjs says so. */
const others = [
  ...(findFirefox() === undefined ? [] : [{ name: "Firefox", browser: "firefox" as const }]),
  ...(findWebKit() === undefined ? [] : [{ name: "WebKit", browser: "webkit" as const }]),
];

/** Bytes that edges and browsers may keep for a run. */
const ROOM = 4 * 1024 ** 3;
/** What tests keep is gone with them: where there is a disk in memory, none of them waits for a real one. */
const MEMORY = "/dev/shm";
if (existsSync(MEMORY)) {
  const { bavail, bsize } = statfsSync(MEMORY);
  if (bavail * bsize > ROOM) process.env["TMPDIR"] = MEMORY;
}

/** Edges that have subscriptions, each with objects of its own: test/worker/main.ts exports them. */
const SUBSCRIBED = { SUBSCRIBED: "Subscribed", READ_MODEL: "ReadModel", WEBHOOKS: "Webhooks", GUARDED: "Guarded" };
const OBJECTS = { STREAMS: "Stream", LOGS: "Log", SUBSCRIPTIONS: "Subscription" };
const durableObjects = Object.fromEntries(
  Object.entries(SUBSCRIBED).flatMap(([prefix, edge]) =>
    Object.entries(OBJECTS).map(([name, object]) => [`${prefix}_${name}`, { className: edge + object, useSQLite: true }]),
  ),
);

/** The examples of the docs import the package by its name. */
const SOURCES = { alias: { "headwater/edge": fileURLToPath(new URL("worker/index.ts", import.meta.url)) } };

/** Tests of the stand-in for the edge's platform: it runs in Node, and they are compiled with the types of the real one. */
const IN_NODE = "test/worker/testing/**/*.test.ts";

const IN_WORKERD = ["test/worker/**/*.test.ts", "test/contract/*.worker.test.ts"];
/** What other files have left in a workerd, as an alarm that is due or a socket that closes, calls what these spy on. */
const SPYING = globSync(IN_WORKERD).filter((path) => /\.prototype\b|\/bill\.ts|spyOn\((console|Date)/.test(readFileSync(path, "utf8")));

const workerd = () =>
  cloudflareTest({
    main: "./test/worker/main.ts",
    wrangler: { configPath: "./wrangler.toml" },
    miniflare: {
      compatibilityFlags: ["nodejs_compat"],
      bindings: { AUTH: "open", LOG: "faults" },
      durableObjects,
      d1Databases: ["DB"],
    },
  });

/** Tests that compute worlds, with threads of their own. */
const WORLDS = ["test/simulation/simulation.test.ts", "test/simulation/bugs.test.ts"];

export default defineConfig({
  test: {
    // Most of the time is waiting, for an edge or a browser: on two cores, one file at a time leaves more than half of them idle.
    maxWorkers: 4,
    reporters: ["default", new EngineTable()],
    projects: [
      {
        resolve: SOURCES,
        test: {
          name: "node",
          include: ["test/*.test.ts", "test/{client,cli,docs,edge,simulation}/**/*.test.ts", "test/contract/*.node.test.ts", IN_NODE],
          exclude: WORLDS,
          testTimeout: 60_000,
          expect: patient,
          hookTimeout: 120_000,
        },
      },
      {
        // They take all processors: scripts/last-tests.mjs runs them beside what mostly waits.
        test: { name: "worlds", include: WORLDS, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
      {
        // Pure functions leave nothing behind: a process for each file would be most of their time.
        test: { name: "shared", include: ["test/shared/**/*.test.ts"], isolate: false, testTimeout: 60_000 },
      },
      {
        // Whole browsers and edges, which have to come into step in time: one file at a time, and beside it only what gives way.
        test: {
          name: "faults",
          include: ["test/{demo,faults}/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          expect: patient,
          hookTimeout: 120_000,
        },
      },
      {
        plugins: [workerd()],
        resolve: SOURCES,
        test: {
          name: "workerd",
          include: IN_WORKERD,
          exclude: [IN_NODE, ...SPYING],
          // Each test has stores of its own. A workerd for each file would be half of their time.
          isolate: false,
          testTimeout: 60_000,
          expect: patient,
        },
      },
      {
        // A workerd for each file.
        plugins: [workerd()],
        resolve: SOURCES,
        test: { name: "spying", include: SPYING, exclude: [IN_NODE], testTimeout: 60_000, expect: patient },
      },
      {
        test: {
          name: "browser",
          ...inBrowser,
          browser: {
            ...headless,
            provider: chromium(),
            instances: [
              { name: "Chromium with LevelDB", browser: "chromium", provide: { lines: most } },
              { name: "Chromium with SQLite", browser: "chromium", provider: chromium(...BACKENDS.SQLite) },
            ],
          },
        },
      },
      ...(others.length === 0
        ? []
        : [
            {
              test: {
                name: "engines",
                ...inBrowser,
                browser: {
                  ...headless,
                  provider: drivenProvider({ firefox: driveFirefox, webkit: driveWebKit }),
                  instances: others,
                },
              },
            },
          ]),
    ],
  },
});
