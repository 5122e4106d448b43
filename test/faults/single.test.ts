/**
 * `headwater/single` in a real Chromium, in the two places where an app has no chunks: a service worker, which may not call `import()`, and a web
 * page with an import map and no bundler. Both run the file that the build made, and the server has no other file of the package.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { blocksOf } from "../support/document.ts";
import { EDGE_ALONE, type EdgeProcess, startEdge } from "../support/edge.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A device that reads what the edge has, decides a command, and reads its state, its rows and an event of an older version. */
const DEVICE = `
const seats = {
  name: "seats",
  version: 1,
  initialState: { left: 3 },
  evolve: ({ left }) => ({ left: left - 1 }),
  decide: ({ by }) => ({ type: "Taken", data: { by } }),
};
const taken = { name: "taken", version: 1, evolve: (row, { data }) => ({ by: [...(row?.by ?? []), data.by] }) };
const eventTypes = defineEventTypes({ Taken: { version: 2, upcast: { 1: ({ name }) => ({ by: name }) } } });

export async function run(name, url) {
  const store = await openStore({ name, deciders: [seats], eventTypes, sync: { url } });
  await store.sync();
  await store.handle("Seats-1", seats, { by: "bob" });
  await store.sync();
  const { state, version } = await store.aggregateStream("Seats-1", seats);
  const { pending, connection } = store.status;
  const table = await store.project(taken);
  await table.caughtUp();
  const rows = await table.query();
  await store.close();
  return { state, version, pending, connection, rows };
}
`;
const WORKER = `
self.addEventListener("message", ({ data: { name, url }, ports: [port] }) => {
  run(name, url).then((result) => port.postMessage(result), (error) => port.postMessage(String(error)));
});
`;
const FILES: Record<string, readonly [type: string, body: string]> = {
  "/": ["text/html", blocksOf("docs/single-file.md").find(({ language }) => language === "html")?.code ?? ""],
  "/app.js": ["text/javascript", 'import { run } from "/page-device.js"; window.run = run;'],
  "/favicon.ico": ["image/x-icon", ""],
  "/page-device.js": ["text/javascript", `import { defineEventTypes, openStore } from "headwater";${DEVICE}`],
  // An import map does not reach a service worker.
  "/worker-device.js": ["text/javascript", `import { defineEventTypes, openStore } from "/headwater/single.js";${DEVICE}`],
  "/worker.js": ["text/javascript", `import { run } from "/worker-device.js";${WORKER}`],
  "/chunks-worker.js": [
    "text/javascript",
    `import { openStore } from "/chunks/index.js";
async function run(name) {
  const store = await openStore({ name });
  return store.aggregateStream("Seats-1", { name: "seats", version: 1, initialState: 0, evolve: (count) => count + 1 });
}${WORKER}`,
  ],
};

const EXPECTED = {
  state: { left: 1 },
  version: 2,
  pending: 0,
  connection: "online",
  rows: [{ key: "Seats-1", row: { by: ["ann", "bob"] } }],
};

const asked: string[] = [];
let server: Server;
let origin: string;
let edge: EdgeProcess;
let browser: BrowserProcess;

beforeAll(async () => {
  FILES["/headwater/single.js"] = ["text/javascript", await readFile(`${ROOT}dist/client/single.js`, "utf8")];
  for (const [name, text] of await chunks()) FILES[`/chunks/${name}`] = ["text/javascript", text];
  server = createServer(({ url = "" }, response) => {
    asked.push(url);
    const file = FILES[url];
    if (file === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": file[0] }).end(file[1]);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  origin = `http://127.0.0.1:${address.port}`;
  [edge, browser] = await Promise.all([startEdge({ AUTH: "open" }, EDGE_ALONE), startBrowser()]);
});
afterAll(async () => {
  await Promise.all([browser?.stop(), edge?.stop()]);
  server?.closeAllConnections();
  server?.close();
});

/** A store in which another device has appended an event of the first version. */
async function storeWithAnn(id: string): Promise<string> {
  const url = `${edge.url}/v1/${id}`;
  await connectStore({ url }).appendToStream("Seats-1", [{ type: "Taken", data: { name: "ann" } }]);
  return url;
}

/** `headwater` in chunks, as a bundler makes them. */
async function chunks(): Promise<[name: string, text: string][]> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["client/index.ts"],
    outdir: "out",
    bundle: true,
    splitting: true,
    format: "esm",
    write: false,
  });
  return outputFiles.map(({ path, text }) => [basename(path), text]);
}

async function openPage(): Promise<Page> {
  const page = await browser.context().newPage();
  await page.goto(`${origin}/`);
  return page;
}

test("a web page with an import map and no bundler: a store with deciders syncs, decides and reads", { timeout: 60_000 }, async () => {
  const url = await storeWithAnn("import-map");
  const page = await openPage();
  await page.waitForFunction(() => window.run !== undefined);
  expect(await page.evaluate((given) => window.run?.("page", given), url)).toEqual(EXPECTED);
  expect(asked.filter((path) => FILES[path] === undefined || path.startsWith("/chunks/"))).toEqual([]);
});

/** What a service worker answers to a page. Each has a scope of its own. */
async function answerOf(script: string, name: string, url: string): Promise<unknown> {
  const page = await openPage();
  const given = { script, name, url };
  return page.evaluate(async ({ script, ...data }) => {
    const { installing } = await navigator.serviceWorker.register(script, { type: "module", scope: script });
    if (installing === null) throw new Error("The service worker was there before.");
    await new Promise<void>((resolve) => {
      installing.addEventListener("statechange", () => {
        if (installing.state === "activated") resolve();
      });
    });
    const { port1, port2 } = new MessageChannel();
    const answered = new Promise((resolve) => port1.addEventListener("message", (event) => resolve(event.data)));
    port1.start();
    installing.postMessage(data, [port2]);
    return answered;
  }, given);
}

test("a service worker: a store with deciders syncs, decides and reads", { timeout: 60_000 }, async () => {
  expect(await answerOf("/worker.js", "worker", await storeWithAnn("service-worker"))).toEqual(EXPECTED);
});

test("a service worker with chunks is told that it can't load them", { timeout: 60_000 }, async () => {
  const answer = await answerOf("/chunks-worker.js", "chunks", "");
  expect(answer).toMatch(/^UnavailableError: A part of the app can't be loaded: import\(\) is disallowed on ServiceWorkerGlobalScope/);
});

declare global {
  interface Window {
    run?: (name: string, url: string) => Promise<unknown>;
  }
}
