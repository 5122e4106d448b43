/** A page in Chromium whose thread is traced: the trace knows what each task took of the processor. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Page as BrowserPage, chromium } from "playwright";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import { removeProfile } from "../../test/support/engines/profile.ts";
import { type OutboxTimes, SYNC_BEGINS, SYNC_ENDED } from "../page/outbox.ts";
import { keepBrowser, keepFiles } from "../running.ts";
import { BenchOrigin, bundlePage } from "./server.ts";

/** @param url an empty store at the edge */
export async function measureOutboxInBrowser(
  url: string,
  commits: number,
  streams: number,
): Promise<OutboxTimes & { readonly busiest: number }> {
  const origin = await BenchOrigin.start(await bundlePage());
  const profile = await mkdtemp(join(tmpdir(), "headwater-bench-"));
  const remove = keepFiles(() => removeProfile(profile));
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("No Chromium was found: run `node scripts/chromium.mjs` to install one.");
  // A signal is for the bench, which closes it.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  const launching = chromium.launchPersistentContext(profile, { executablePath, args: CHROMIUM_ARGS, headless: true, ...signals });
  const browser = await keepBrowser(launching.then((context) => ({ kill: () => context.close() })));
  try {
    const page = await (await launching).newPage();
    await page.goto(origin.url);
    const trace = await traceTasks(page);
    const times = await origin.call("outbox", url, commits, streams);
    return { ...times, busiest: await trace.busiest() };
  } finally {
    await browser.kill();
    await origin.close();
    await remove();
  }
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
