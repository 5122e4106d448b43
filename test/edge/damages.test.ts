/** Damages done to the files of a stopped edge: what everybody says of each, and the command after which all is as it was. */
import "fake-indexeddb/auto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CommandError } from "../../cli/command-error.ts";
import { exportStore } from "../../cli/export.ts";
import { reconcileStore } from "../../cli/reconcile.ts";
import { restoreFile } from "../../cli/restore.ts";
import { verifyStore } from "../../cli/verify.ts";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import { HeadwaterError, openStore, type Store } from "../../client/index.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { copyObject, filesOf, forgetAlarm } from "../support/edge-files.ts";
import { type Command, DAMAGES, EVENTS, NOTHING, type Told } from "./damages.ts";

interface Subject {
  readonly url: string;
  readonly atEdge: EdgeStore;
  readonly backup: string;
  readonly copies: string;
  /** A device that has everything. */
  readonly device: Store;
  readonly log: string;
  readonly id: string;
}

let edge: EdgeProcess;
let folder: string;
const subjects = new Map<string, Subject>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwater-damages-"));
  edge = await startEdge({ AUTH: "open", LOG: "faults" }, "test/edge/subscribed/worker.ts");
  for (const { name } of DAMAGES) subjects.set(name, await newSubject());
  await fillTo(1, EVENTS / 2);
  await edge.kill();
  for (const { id, log, copies } of subjects.values()) {
    const files = await filesOf(edge, id, log);
    await copyObject(files.log, join(copies, "log"));
    await copyObject(files.streams.get("A-1") ?? "", join(copies, "stream"));
    await copyObject(files.streams.get("B-1") ?? "", join(copies, "other"));
  }
  await edge.start();
  await fillTo(EVENTS / 2 + 1, EVENTS);
  for (const { url, atEdge, backup, device } of subjects.values()) {
    await device.sync();
    await vi.waitFor(async () => expect((await subscriptionOf(url)).position).toBe(EVENTS), { timeout: 30_000 });
    await exportStore(atEdge, backup);
  }
  await edge.kill();
  for (const { name, apply } of DAMAGES) {
    const { id, log, copies } = subjectOf(name);
    const files = await filesOf(edge, id, log);
    for (const path of files.streams.values()) forgetAlarm(path);
    await apply({ files, copies });
  }
  await edge.start();
}, 600_000);

afterAll(async () => {
  for (const { device } of subjects.values()) await device.close();
  await edge.stop();
  await rm(folder, { recursive: true });
});

function subjectOf(name: string): Subject {
  const subject = subjects.get(name);
  if (subject === undefined) throw new Error(`${name} has no store`);
  return subject;
}

async function newSubject(): Promise<Subject> {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  const atEdge = connectStore({ url });
  const copies = join(folder, id);
  await mkdir(copies);
  const device = await openStore({ name: id, sync: { url, automatic: false } });
  return { id, url, atEdge, copies, backup: join(folder, `${id}.ndjson`), device, log: (await atEdge.health()).log };
}

/** Each event has a row of its own. */
async function fillTo(first: number, last: number): Promise<void> {
  await Promise.all(
    [...subjects.values()].map(async ({ atEdge }) => {
      for (let n = first; n <= last; n++) await atEdge.appendToStream(n % 3 === 0 ? "B-1" : "A-1", [{ type: "Kept", data: `kept-${n}.` }]);
    }),
  );
}

async function subscriptionOf(url: string): Promise<{ state: string; position: number }> {
  const { subscription } = (await (await fetch(`${url}/subscriptions/all`)).json()) as {
    subscription: { state: string; position: number };
  };
  return subscription;
}

/** How many events are read, or the code of the error. */
async function read(work: () => Promise<number>): Promise<number | string> {
  return work().catch((error: unknown) => (error instanceof HeadwaterError ? error.code : String(error)));
}

/** What everybody says of a store. */
async function lookAt({ url, atEdge, device }: Subject, isLogAlone: boolean): Promise<Told> {
  const feed = await read(async () => {
    let count = 0;
    for await (const _ of atEdge.readAll()) count++;
    return count;
  });
  const { streams, append } = isLogAlone ? NOTHING : await lookAtStreams(atEdge);
  const sync = (store: Store) => read(async () => store.sync().then(() => store.status.cursor?.position ?? 0));
  const oldDevice = await sync(device);
  const fresh = await openStore({ name: crypto.randomUUID(), sync: { url, automatic: false } });
  const newDevice = await sync(fresh);
  await fresh.close();
  const subscription = (await subscriptionOf(url)).state;
  const { diverged, subscriptionsAhead, lostHistory } = await atEdge.health();
  const verify = await findings(atEdge);
  const health = [diverged, subscriptionsAhead, lostHistory === null ? null : lostHistory?.head];
  return { feed, streams, append, oldDevice, newDevice, subscription, health, verify };
}

async function lookAtStreams(atEdge: EdgeStore): Promise<Pick<Told, "streams" | "append">> {
  const streams = await read(async () => {
    const pages = await Promise.all(["A-1", "B-1"].map((streamId) => atEdge.readStream(streamId)));
    return pages.reduce((sum, { events }) => sum + events.length, 0);
  });
  const append = await read(
    async () => (await atEdge.appendToStream("A-1", [{ type: "Probe", data: null }], { expectedVersion: 1_000 })).version,
  );
  return { streams, append };
}

/** The first finding of `headwater verify`; null if it finds nothing. @param against the path of an export */
async function findings(atEdge: EdgeStore, against?: string): Promise<string | null> {
  try {
    await verifyStore(atEdge, against);
    return null;
  } catch (error) {
    if (error instanceof CommandError) return error.list[0] ?? error.message;
    throw error;
  }
}

async function mendBy(command: Command, { atEdge, backup }: Subject): Promise<string> {
  switch (command) {
    case "reconcile":
      return reconcileStore(atEdge, { dryRun: false });
    case "reconcile --against":
      return reconcileStore(atEdge, { dryRun: false, against: backup });
    case "restore":
      return restoreFile(atEdge, backup);
    default:
      return command satisfies never;
  }
}

test.each(DAMAGES)("$name: it is told, and mended", async ({ name, mend, told, isLogAlone = false }) => {
  const subject = subjectOf(name);
  expect(await lookAt(subject, isLogAlone)).toEqual({ ...NOTHING, ...told });
  // Nothing is silent.
  expect(Object.keys(told)).not.toEqual([]);
  await mendBy(mend, subject);
  expect(await findings(subject.atEdge, subject.backup)).toBeNull();
  expect(await subject.atEdge.health()).toMatchObject({ events: EVENTS, diverged: 0, lostHistory: null });
});
