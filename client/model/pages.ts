/** Pages of the confirmed log, for whoever comes back to them again and again. */
import type { IDBPDatabase } from "idb";
import { isContinued } from "../../shared/continued.ts";
import type { History } from "../../shared/history.ts";
import type { Schema } from "../database.ts";
import { historyOf, isSegment, numbersOf, pagesAfter } from "../device-log.ts";
import type { Segment } from "../segments.ts";

/** Segments read at once, before the rest of their last page. */
const AT_ONCE = 64;

/**
 * Some whole pages, from the first that holds something after this position, where the device still holds the history that was read
 * before; undefined where it has let go of that meanwhile: no page would then mean that nothing stands there.
 */
export async function pagesOf(db: IDBPDatabase<Schema>, before: History, position: number): Promise<Segment[] | undefined> {
  const tx = db.transaction(["events", "meta"], "readonly");
  const events = tx.objectStore("events");
  const [now, records] = await Promise.all([historyOf(tx), events.getAll(pagesAfter(position), AT_ONCE)]);
  if (!isContinued(before, now)) return undefined;
  const last = records.at(-1);
  if (records.length === AT_ONCE && last !== undefined && isSegment(last)) {
    const [page, n] = last.key;
    records.push(...(await events.getAll(numbersOf(page, n + 1))));
  }
  return records.filter(isSegment);
}
