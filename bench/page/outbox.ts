/**
 * Measures, in the browser, a device that has worked offline for long: commits of one event each, spread over many streams, appended while
 * nothing is sent, and then synced. Long tasks are counted: a task of more than 50 ms makes a page stutter.
 */
import { openStore } from "../../client/index.ts";
import { timed } from "../measure.ts";

export interface OutboxTimes {
  /** Milliseconds until all is confirmed. */
  readonly sync: number;
  readonly requests: number;
  /** Milliseconds of each task of more than 50 ms, while the device synced. */
  readonly longTasks: readonly number[];
}

/** The marks around what is measured. */
export const SYNC_BEGINS = "sync begins";
export const SYNC_ENDED = "sync ended";

/** @param url an empty store at the edge */
export async function measureOutbox(url: string, commits: number, streams: number): Promise<OutboxTimes> {
  let requests = 0;
  const send: typeof fetch = (...given) => {
    requests++;
    return fetch(...given);
  };
  const store = await openStore({ name: `outbox-${crypto.randomUUID()}`, sync: { url, automatic: false, fetch: send } });
  for (let from = 0; from < commits; from += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, commits - from) }, (_, i) => from + i);
    await Promise.all(numbers.map((number) => store.appendToStream(`Outbox-${number % streams}`, [eventOf(number)])));
  }
  const longTasks: number[] = [];
  const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => Math.round(duration))));
  observer.observe({ type: "longtask" });
  // As a page that shows the status.
  const off = store.liveStatus().subscribe(() => undefined);
  performance.mark(SYNC_BEGINS);
  const sync = await timed(() => store.sync());
  off();
  // Entries are delivered in a task of their own.
  await new Promise((resolve) => setTimeout(resolve));
  observer.disconnect();
  performance.mark(SYNC_ENDED);
  const { pending, conflicts } = store.status;
  if (pending + conflicts > 0) throw new Error(`${pending} commits are pending and ${conflicts} parked after a sync`);
  await store.close();
  return { sync, requests, longTasks };
}

/** Appends of one moment: they share a transaction. */
const AT_ONCE = 500;

function eventOf(number: number) {
  const data = { number, channel: "Internet", department: "General", responsible: "Resource26", text: "x".repeat(100) };
  return { type: "Generated", data, metadata: { actor: "bench" }, occurredAt: "2026-01-01T00:00:00.000Z" };
}
