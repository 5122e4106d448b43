/** A large database: what it takes of the disk, and how long it takes to open it and to read a first stream. */

import { timed } from "../measure.ts";
import { type Contender, fillDatabase } from "./contender.ts";
import { placed, readLines, repeated } from "./data.ts";
import { HEADWATER_LOCAL, HEADWATER_SYNCED } from "./headwater.ts";
import { RAW_IDB } from "./raw-idb.ts";

const DATABASE = "large";

/** How it was written durably makes no difference here. */
export const LARGE_SIDES: readonly Contender[] = [
  HEADWATER_SYNCED,
  HEADWATER_LOCAL,
  ...RAW_IDB.filter(({ name }) => name.endsWith("relaxed")).map((contender) => ({
    ...contender,
    name: contender.name.replace(/, relaxed$/, ""),
  })),
];

export interface LargeFill {
  readonly milliseconds: number;
  /** Of the origin; null if the browser doesn't say. */
  readonly bytes: number | null;
}

export interface LargeOpening {
  /** Milliseconds until the database was opened, and until the first stream was read. */
  readonly opened: number;
  readonly read: number;
}

/** Fills the origin's one large database. */
export async function measureFill(contender: Contender, count: number): Promise<LargeFill> {
  const events = placed(repeated(await readLines("permits"), count));
  const before = await usedBytes();
  const milliseconds = await timed(() => fillDatabase(contender, DATABASE, events));
  const after = await usedBytes();
  const log = await contender.open(DATABASE);
  const own = await log.size?.();
  await log.close();
  return { milliseconds, bytes: own ?? (before === null || after === null ? null : after - before) };
}

/** The first opening of the database by a browser that was just started. */
export async function measureOpening(contender: Contender, count: number): Promise<LargeOpening> {
  const lines = repeated(await readLines("permits"), count);
  const streamId = lines[Math.floor(lines.length / 2)]?.stream ?? "";
  await wakeStorage();
  const start = performance.now();
  const log = await contender.open(DATABASE);
  const opened = performance.now() - start;
  const found = await log.readStream(streamId);
  const read = performance.now() - start;
  await log.close();
  if (found === 0) throw new Error("The stream has no events.");
  return { opened, read };
}

/** The browser's own processes for storage start with the first use, of which side ever. */
async function wakeStorage(): Promise<void> {
  await navigator.storage?.getDirectory?.().catch(() => undefined);
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.open("wake");
    request.onsuccess = () => {
      request.result.close();
      resolve();
    };
    request.onerror = () => reject(request.error);
  });
}

/** WebKitGTK has no `navigator.storage`. */
async function usedBytes(): Promise<number | null> {
  const estimate = await navigator.storage?.estimate?.();
  return estimate?.usage ?? null;
}
