/** Ends what `lostHistory` of a store's health says: if it is known that nothing is gone, or if an operator gives up what is. */
import type { EdgeStore } from "../client/http.ts";
import type { LogEnd } from "../shared/edge/subscription.ts";
import { nextMark, START_MARK } from "../shared/mark.ts";
import { reconciledLog } from "../shared/wire/reconcile.ts";
import { recordedLines } from "./backup-file.ts";
import type { RereadableFile } from "./rereadable-file.ts";

/** Whether a backup has every event of the history. Its count does not say so: it may have been written after the loss. */
export async function hasHistory(file: RereadableFile, { head, mark }: LogEnd): Promise<boolean> {
  return mark !== undefined && (await markAt(file, head)) === mark;
}

/** The mark that the log had at a position of the file; undefined if the file ends before. */
async function markAt(file: RereadableFile, position: number): Promise<string | undefined> {
  let mark = START_MARK;
  if (position === 0) return mark;
  for await (const line of recordedLines(file)) {
    mark = nextMark(mark, line.content.id);
    if (line.position === position) return mark;
  }
  return undefined;
}

/** The log as it is counts from now on. @param head the log's */
export async function acceptHistory(store: EdgeStore, head: number): Promise<void> {
  await store.request("/reconcile/log", reconciledLog, { after: head, accept: true });
}

/** For the terminal. */
export function acceptedText({ head }: LogEnd): string {
  return `the log once reached #${head}, and has another history now: events may have other positions than before, and it goes on from here`;
}
