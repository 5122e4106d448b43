/** `npm start` and its web page, as a user uses them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import { verify } from "../support/commands.ts";
import { answers, freePort, untilListening } from "../support/edge.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PERMITS = 8_577;

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwater-demo-"));
  const executablePath = findChromium();
  browser = await chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: CHROMIUM_ARGS });
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

/** As `npm start -- --port PORT --persist-to DIR …` in a terminal. */
async function npmStart(...given: string[]): Promise<{ url: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const npm = spawn("npm", ["start", "--", "--port", String(port), "--persist-to", join(folder, String(port)), ...given], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  await untilListening(npm, url);
  return { url, stop: () => stop(npm, url) };
}

async function stop(npm: ChildProcess, url: string): Promise<void> {
  const ended = once(npm, "exit");
  npm.kill("SIGTERM");
  await ended;
  // Its port is free again: nothing is left behind.
  while (await answers(url)) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function openDevice(url: string, device: string): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(`${url}/?device=${device}`);
  await expect.poll(() => page.textContent("#connection"), { timeout: 20_000 }).toBe("online");
  return page;
}

const rows = (page: Page) => page.locator("#events tbody tr").allTextContents();
const shown = (page: Page, id: string) => expect.poll(() => page.textContent(`#${id}`), { timeout: 90_000, interval: 100 });

async function recordStep(page: Page, step: string): Promise<void> {
  await page.fill("#type", step);
  await page.press("#type", "Enter");
  await shown(page, "message").toContain(`Recorded on this device: ${step}`);
}

test("a page records thousands of steps offline, the edge orders them, a second device holds the same and they settle a conflict", {
  timeout: 240_000,
}, async () => {
  const { url, stop: end } = await npmStart();
  try {
    const a = await openDevice(url, "A");
    await a.uncheck("#online");
    await a.click("#import");
    await shown(a, "message").toMatch(/^8,577 steps recorded on this device/);
    expect(await a.textContent("#pending")).toBe("8,577");
    const offline = await rows(a);
    expect(offline).toHaveLength(18);
    expect(offline.every((row) => row.endsWith("pending"))).toBe(true);

    await a.check("#online");
    await shown(a, "pending").toBe("0");
    await shown(a, "cursor").toBe(`#${PERMITS} of #${PERMITS}`);
    const b = await openDevice(url, "B");
    await shown(b, "cursor").toBe(`#${PERMITS} of #${PERMITS}`);
    expect(await rows(b)).toEqual(await rows(a));

    for (const page of [a, b]) await page.uncheck("#online");
    await recordStep(a, "Permit granted");
    await recordStep(b, "Permit refused");
    await a.check("#online");
    await shown(a, "pending").toBe("0");
    await b.check("#online");
    await shown(b, "conflict-count").toBe("1");
    expect(await b.locator(".sides > div").allTextContents()).toEqual(["YoursPermit refused", "Theirs, at the edgePermit granted"]);
    await b.focus("text=Record mine after theirs");
    await b.keyboard.press("Enter");
    await shown(b, "conflict-count").toBe("0");
    await shown(b, "cursor").toBe(`#${PERMITS + 2} of #${PERMITS + 2}`);
    await shown(a, "cursor").toBe(`#${PERMITS + 2} of #${PERMITS + 2}`);
    expect(await rows(a)).toEqual(await rows(b));
    expect((await rows(b)).slice(-2)).toEqual([expect.stringContaining("Permit granted"), expect.stringContaining("Permit refused")]);

    await b.context().setOffline(true);
    await b.reload();
    await expect.poll(() => rows(b)).toHaveLength(20);
    await shown(b, "connection").toBe("offline");

    const atEdge = (await connectStore({ url: `${url}/v1/permits` }).readStream("Permit-891")).events;
    expect(atEdge.map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(await verify(undefined, `${url}/v1/permits`)).toMatchObject({ exitCode: 0 });
  } finally {
    await end();
  }
});

test("what follows -- goes to wrangler dev: a deployment's own access is not opened", async () => {
  const { url, stop: end } = await npmStart("--var", "AUTH:jwt");
  try {
    const response = await fetch(`${url}/v1/permits/feed`);
    expect([response.status, await response.json()]).toEqual([401, expect.objectContaining({ code: "unauthenticated" })]);
  } finally {
    await end();
  }
});
