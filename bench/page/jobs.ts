/** What the page can be told to do, and the loop in which it does it: it requests a job, does it, and posts what came of it. */

import { type Measurement, messageOf } from "../measure.ts";
import type { Contender } from "./contender.ts";
import { placed, readLines, recordOf } from "./data.ts";
import { type DeviceJob, type DeviceOutcome, type DeviceSizes, measureDevice } from "./device-jobs.ts";
import { measureFeedPages } from "./feed-pages.ts";
import { measureLengths, measurePending, measureSizes } from "./growth.ts";
import type { GrowthLine, Sized } from "./growth-store.ts";
import { HEADWATER } from "./headwater.ts";
import { LARGE_SIDES, type LargeFill, type LargeOpening, measureFill, measureOpening } from "./large.ts";
import { type LiveLegs, measureLive } from "./live.ts";
import { READER, serveReader } from "./live-reader.ts";
import { type ModelTimes, measureModel } from "./model.ts";
import { measureOutbox, type OutboxTimes } from "./outbox.ts";
import { RAW_IDB } from "./raw-idb.ts";
import { measureRows, type RowTimes } from "./row-times.ts";
import { measureFirstSync, measureSyncedReads, type SyncOutcome } from "./sync-jobs.ts";

export type Jobs = ReturnType<typeof jobsOf>;

function jobsOf(peers: readonly Contender[]) {
  const large = [...LARGE_SIDES, ...peers];
  const largeSide = (name: string) => {
    const found = large.find((contender) => contender.name === name);
    if (found === undefined) throw new Error(`There is no side ${name}`);
    return found;
  };
  return {
    userAgent: async (): Promise<string> => navigator.userAgent,
    /** Shows the page of another origin. It answers before it goes. */
    go: async (url: string): Promise<void> => {
      setTimeout(() => location.assign(url), 20);
    },
    device: (job: DeviceJob, sizes: DeviceSizes): Promise<DeviceOutcome[]> =>
      measureDevice([...HEADWATER, ...RAW_IDB, ...peers], job, sizes),
    largeSides: async (): Promise<string[]> => large.map(({ name }) => name),
    fill: (name: string, count: number): Promise<LargeFill> => measureFill(largeSide(name), count),
    firstSync: (file: string, url: string, rounds: number): Promise<SyncOutcome> => measureFirstSync(file, url, rounds),
    syncedReads: (file: string, url: string, rounds: number): Promise<SyncOutcome[]> => measureSyncedReads(file, url, rounds),
    pages: async (): Promise<Measurement> => measureFeedPages(placed(await readLines("permits")).map(recordOf)),
    model: (streams: number): Promise<ModelTimes> => measureModel(streams),
    rows: (url: string, pending: number[], rounds: number): Promise<RowTimes[]> => measureRows(url, pending, rounds),
    outbox: (url: string, commits: number, streams: number): Promise<OutboxTimes> => measureOutbox(url, commits, streams),
    live: (url: string, echoUrl: string, count: number): Promise<LiveLegs> => measureLive(url, echoUrl, count),
    growthOfSizes: (sizes: Sized[], repetitions: number): Promise<GrowthLine[]> => measureSizes(sizes, repetitions),
    growthOfPending: (counts: number[], repetitions: number): Promise<GrowthLine[]> => measurePending(counts, repetitions),
    growthOfLengths: (lengths: number[], repetitions: number): Promise<GrowthLine[]> => measureLengths(lengths, repetitions),
    opening: (name: string, count: number): Promise<LargeOpening> => measureOpening(largeSide(name), count),
  };
}

interface Requested {
  readonly id: number;
  readonly job: keyof Jobs;
  readonly args: readonly never[];
}

/** @param peers sides that have to be installed */
export async function doJobs(peers: readonly Contender[]): Promise<void> {
  if (location.hash === READER) return serveReader();
  const jobs: Record<keyof Jobs, (...args: never[]) => Promise<unknown>> = jobsOf(peers);
  for (;;) {
    const { id, job, args }: Requested = await (await fetch("/next", { method: "POST" })).json();
    const done = await jobs[job](...args).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, error: messageOf(error) }),
    );
    await fetch("/done", { method: "POST", body: JSON.stringify(done) });
  }
}
