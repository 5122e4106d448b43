/** `headwater export`: every event in position order, one JSON object a line. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { EdgeStore } from "../client/http.ts";
import { eventsIn, Progress } from "./progress.ts";

/** @param out a path; standard output where it is left out */
export async function exportStore(store: EdgeStore, out: string | undefined): Promise<void> {
  const target: NodeJS.WritableStream = out === undefined ? process.stdout : createWriteStream(out);
  const failed = new Promise<never>((_, reject) => target.once("error", reject));
  failed.catch(() => undefined); // raced below; after the last write nobody waits for it any more
  const progress = new Progress("export", await eventsIn(store));
  let count = 0;
  for await (const event of store.readAll()) {
    if (!target.write(`${JSON.stringify(event)}\n`)) await Promise.race([once(target, "drain"), failed]);
    progress.at(++count, count);
  }
  if (out !== undefined) {
    target.end();
    await Promise.race([once(target, "finish"), failed]);
  }
  progress.end();
}
