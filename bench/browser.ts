/** Runs `page.ts` in a real Chromium with a new profile on the disk. The IndexedDB of a private window would never write to a disk. */
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { build } from "esbuild";
import { type Page as BrowserPage, chromium } from "playwright";
import { CHROMIUM_ARGS, findChromium } from "../scripts/chromium.mjs";
import type { Measurement } from "./measure.ts";
import { SYNC_BEGINS, SYNC_ENDED } from "./outbox.ts";
import type * as Page from "./page.ts";

declare global {
  var bench: typeof Page;
}

/** @param filled for each file, the URL of a store at the edge that holds it */
export async function measureInBrowser(filled: Readonly<Record<string, string>>): Promise<Measurement[]> {
  const lines = await linesOf("permits");
  return withPage(async (page) => {
    const results = await page.evaluate((given) => globalThis.bench.measureAppends(given), lines);
    for (const [file, url] of Object.entries(filled)) {
      results.push(...(await page.evaluate(([name, store]) => globalThis.bench.measureSync(name, store), [file, url] as const)));
    }
    return results;
  });
}

export async function measurePagesInBrowser(): Promise<Measurement> {
  const lines = await linesOf("permits");
  return withPage((page) => page.evaluate((given) => globalThis.bench.measurePages(given), lines));
}

/** @param url an empty store at the edge @param echoUrl a bare echo on a WebSocket, as the baseline */
export function measureLiveInBrowser(url: string, echoUrl: string, count: number): Promise<Page.LiveTimes> {
  return withPage((page) =>
    page.evaluate(([store, echo, events]) => globalThis.bench.measureLive(store, echo, events), [url, echoUrl, count] as const),
  );
}

export function measureModelInBrowser(): Promise<Page.ModelTimes> {
  return withPage((page) => page.evaluate(() => globalThis.bench.measureModel()));
}

/** @param url of empty stores at the edge: the number of pending commits is added to it */
export function measureRowsInBrowser(url: string, pending: readonly number[], rounds: number): Promise<Page.RowTimes[]> {
  return withPage((page) =>
    page.evaluate(([store, numbers, count]) => globalThis.bench.measureRows(store, numbers, count), [url, pending, rounds] as const),
  );
}

/** @param url an empty store at the edge */
export function measureOutboxInBrowser(
  url: string,
  commits: number,
  streams: number,
): Promise<Page.OutboxTimes & { readonly busiest: number }> {
  return withPage(async (page) => {
    const trace = await traceTasks(page);
    const times = await page.evaluate(([store, count, spread]) => globalThis.bench.measureOutbox(store, count, spread), [
      url,
      commits,
      streams,
    ] as const);
    return { ...times, busiest: await trace.busiest() };
  });
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
  /** Microseconds of the processor. */
  readonly tdur?: number;
}

/** Traces what the page's thread does. A task lasts long, too, if the machine has no processor for it: the trace knows what it took of one. */
async function traceTasks(page: BrowserPage): Promise<{ busiest: () => Promise<number> }> {
  const session = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  session.on("Tracing.dataCollected", ({ value }) => {
    const some: TraceEvent[] = JSON.parse(JSON.stringify(value));
    events.push(...some.filter(({ name }) => name === "RunTask" || name === SYNC_BEGINS || name === SYNC_ENDED));
  });
  await session.send("Tracing.start", {
    traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline", "blink.user_timing"], excludedCategories: ["*"] },
  });
  return {
    /** @returns milliseconds of the processor that the task which took most of it had, between the two marks */
    async busiest() {
      const ended = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
      await session.send("Tracing.end");
      await ended;
      const [begins, ends] = [SYNC_BEGINS, SYNC_ENDED].map((mark) => events.find(({ name }) => name === mark));
      if (begins === undefined || ends === undefined) throw new Error("The trace has no marks of the sync");
      const isInSync = ({ pid, tid, ts }: TraceEvent) => pid === begins.pid && tid === begins.tid && ts >= begins.ts && ts < ends.ts;
      return Math.max(0, ...events.filter(isInSync).map(({ tdur = 0 }) => tdur / 1000));
    },
  };
}

async function withPage<T>(work: (page: BrowserPage) => Promise<T>): Promise<T> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("No Chromium was found: run `node scripts/chromium.mjs` to install one.");
  const { outputFiles } = await build({
    entryPoints: ["bench/page.ts"],
    bundle: true,
    format: "iife",
    globalName: "bench",
    define: { "process.env.NODE_ENV": '"production"' },
    write: false,
  });
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>bench</title>"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const profile = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: CHROMIUM_ARGS, headless: true });
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.addScriptTag({ content: outputFiles[0]?.text ?? "" });
    return await work(page);
  } finally {
    await context.close();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export function fileOf(name: string): string {
  return `test/data/${name}.ndjson.gz`;
}

async function linesOf(name: string): Promise<Parameters<typeof Page.measureAppends>[0]> {
  const text = (await promisify(gunzip)(await readFile(fileOf(name)))).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
