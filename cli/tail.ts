/** `headwater tail`: writes events as they come, one JSON object a line. */
import type { EdgeStore } from "../client/http.ts";
import { jsonLine } from "./output.ts";

export interface TailChoice {
  readonly after: number | undefined;
  readonly category: readonly string[] | undefined;
  readonly stream: readonly string[] | undefined;
  readonly type: readonly string[] | undefined;
}

/** Ends on SIGINT (Ctrl-C) or SIGTERM, or when nobody reads any more (`headwater tail | head`). */
export async function tailStore(store: EdgeStore, { after, ...filter }: TailChoice): Promise<void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  process.stdout.once("error", end);
  // Also if it is not needed: the iteration below would wait for a store that can't be reached, without a word.
  const head = await store.head();
  const from = after ?? head;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  for await (const event of store.tail({ ...given, after: from, signal: ending.signal })) {
    if (!process.stdout.write(jsonLine(event))) await drained(ending.signal);
  }
}

function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once("drain", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
