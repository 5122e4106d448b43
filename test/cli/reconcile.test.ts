/** `headwater reconcile` before stores whose files were changed, put back or deleted while their edge did not run. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import { isLate } from "../../shared/edge/publication.ts";
import { indexedStreams } from "../../shared/wire/reconcile.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { changeText, copyObject, deleteObject, filesOf, forgetAlarm, type StoreFiles, withDatabase } from "../support/edge-files.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
let folder: string;

beforeAll(async () => {
  edge = await startEdge();
  folder = await mkdtemp(join(tmpdir(), "headwater-reconcile-"));
});

afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

interface Filled {
  readonly id: string;
  readonly url: string;
  readonly store: EdgeStore;
  /** The path of an export. */
  readonly backup: string;
  /** Changes the files while the edge does not run. */
  change(work: (files: StoreFiles) => void | Promise<void>): Promise<void>;
}

/** A-1@1–2 at 1–2, B-1@1 at 3, A-1@3 at 4, A-1@4 at 5. */
async function filled(): Promise<Filled> {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  const store = connectStore({ url });
  const kept = (n: number) => ({ type: "Kept", data: `kept-${n}` });
  await store.appendToStream("A-1", [kept(1), kept(2)]);
  await store.appendToStream("B-1", [kept(3)]);
  for (const n of [4, 5]) await store.appendToStream("A-1", [kept(n)]);
  const backup = join(folder, `${id}.ndjson`);
  expect(await headwater(["export", "--url", url, "--out", backup])).toMatchObject({ exitCode: 0 });
  const { log } = await store.health();
  const change = async (work: (files: StoreFiles) => void | Promise<void>) => {
    await edge.kill();
    try {
      await work(await filesOf(edge, id, log));
    } finally {
      await edge.start();
    }
  };
  return { id, url, store, backup, change };
}

/** When the last event was recorded, in milliseconds since 1970: a log that is sent an event soon after that does not look whether it had it. */
async function recordedAt({ backup }: Filled): Promise<number> {
  const last = (await readFile(backup, "utf8")).trimEnd().split("\n").at(-2) ?? "";
  return Date.parse(JSON.parse(last).recordedAt);
}

/** What the store has is what the backup has. */
async function expectClean({ url, backup }: Filled): Promise<void> {
  const verified = await headwater(["verify", "--url", url, "--against", backup]);
  expect(verified).toMatchObject({ exitCode: 0 });
}

test("a log is repaired from its streams; a dry run says so and writes nothing", { timeout: 120_000 }, async () => {
  const store = await filled();
  await store.change(({ log }) => {
    expect(changeText(log, "log", "kept-4", "kfpt-4")).toBe(1);
    withDatabase(log, (db) => db.exec("DELETE FROM runs WHERE last_position = 2"));
  });
  const dry = await headwater(["reconcile", "--dry-run", "--url", store.url]);
  expect(dry).toMatchObject({ exitCode: 0 });
  expect(dry.stdout).toBe(
    "To be repaired, nothing was written:\nthe log at positions 1 to 2, from the streams\nthe log at position 4, from the streams\n",
  );
  expect((await headwater(["verify", "--url", store.url])).exitCode).toBe(1);
  const done = await headwater(["reconcile", "--url", store.url]);
  expect(done).toMatchObject({ exitCode: 0, stdout: dry.stdout.replace("To be repaired, nothing was written:", "Repaired:") });
  await expectClean(store);
  expect((await headwater(["reconcile", "--url", store.url])).stdout).toBe("Nothing to repair: the log and 2 streams agree.\n");
});

test("what neither side can read is named, and comes from a backup", { timeout: 120_000 }, async () => {
  const store = await filled();
  await store.change(({ log, streams }) => {
    expect(changeText(log, "log", "kept-4", "kfpt-4")).toBe(1);
    expect(changeText(streams.get("A-1") ?? "", "stream", "kept-4", "kgpt-4")).toBe(1);
  });
  const left = await headwater(["reconcile", "--url", store.url]);
  expect(left).toMatchObject({ exitCode: 1, stdout: "" });
  expect(left.stderr).toContain("headwater: 0 repaired, 2 left:");
  expect(left.stderr).toContain("The log has nothing at position 4, and no stream has an event that fits there.");
  expect(left.stderr).toContain("A-1 has nothing at version 3, and neither has the log.");
  const dry = await headwater(["reconcile", "--dry-run", "--url", store.url, "--against", store.backup]);
  expect(dry).toMatchObject({
    exitCode: 0,
    stdout: "To be repaired, nothing was written:\nthe log at position 4, from the file\nA-1 at version 3\n",
  });
  const done = await headwater(["reconcile", "--url", store.url, "--against", store.backup]);
  expect(done).toMatchObject({ exitCode: 0, stdout: "Repaired:\nthe log at position 4, from the file\nA-1 at version 3\n" });
  await expectClean(store);
});

test("the last row of a stream is sent by the stream, and a dry run says that it can't tell whether it fits", {
  timeout: 120_000,
}, async () => {
  const store = await filled();
  await store.change(({ log, streams }) => {
    withDatabase(log, (db) => db.exec("DELETE FROM runs WHERE stream_id = 'B-1'"));
    forgetAlarm(streams.get("B-1") ?? "");
  });
  const sent = "the log: B-1 up to version 1, from the stream";
  const dry = await headwater(["reconcile", "--dry-run", "--url", store.url]);
  expect(dry).toMatchObject({ exitCode: 1, stdout: "" });
  expect(dry.stderr).toContain("The log has nothing at position 3, and whether what the streams send fits there shows without --dry-run.");
  expect(dry.stderr).toContain(sent);
  await expect.poll(async () => isLate(await recordedAt(store), Date.now())).toBe(true);
  expect(await headwater(["reconcile", "--url", store.url])).toMatchObject({ exitCode: 0, stdout: ["Repaired:", sent, ""].join("\n") });
  await expectClean(store);
});

test("a row that is gone together with its stream comes from a backup, and not if its events have other positions by now", {
  timeout: 120_000,
}, async () => {
  const store = await filled();
  const lose = ({ log, streams }: StoreFiles) => {
    withDatabase(log, (db) => db.exec("DELETE FROM runs WHERE stream_id = 'B-1'"));
    return deleteObject(streams.get("B-1") ?? "");
  };
  await store.change(lose);
  const left = await headwater(["reconcile", "--url", store.url]);
  expect(left).toMatchObject({ exitCode: 1, stdout: "" });
  expect(left.stderr).toContain("The log has nothing at position 3, and no stream has an event that fits there.");
  const lines = ["the log at position 3, from the file"];
  expect(await headwater(["reconcile", "--dry-run", "--url", store.url, "--against", store.backup])).toMatchObject({
    exitCode: 0,
    stdout: ["To be repaired, nothing was written:", ...lines, ""].join("\n"),
  });
  expect(await headwater(["reconcile", "--url", store.url, "--against", store.backup])).toMatchObject({
    exitCode: 0,
    stdout: ["Repaired:", ...lines, "B-1 at version 1", ""].join("\n"),
  });
  await expectClean(store);
  await store.change(lose);
  await store.store.appendToStream("B-1", [{ type: "Kept", data: "new" }]);
  const late = await headwater(["reconcile", "--url", store.url, "--against", store.backup]);
  expect(late).toMatchObject({ exitCode: 1, stdout: "" });
  expect(late.stderr).toContain(
    "The log has nothing at position 3, and those of the file do not fit there, or have other positions by now:",
  );
});

test("a stream that was deleted comes from the log, and a log that was deleted from the streams that a backup names", {
  timeout: 120_000,
}, async () => {
  const store = await filled();
  await store.change(({ streams }) => deleteObject(streams.get("A-1") ?? ""));
  expect(await headwater(["reconcile", "--url", store.url, "--prefix", "A"])).toMatchObject({
    exitCode: 0,
    stdout: "Repaired:\nA-1 at versions 1 to 4\n",
  });
  await expectClean(store);
  // The new log knows no streams but those that have woken since.
  await store.change(({ log }) => deleteObject(log));
  expect((await headwater(["reconcile", "--url", store.url, "--against", store.backup])).exitCode).toBe(0);
  expect(await store.store.health()).toMatchObject({ events: 5, streams: 2, diverged: 0 });
  expect((await store.store.readStream("A-1")).events.map(({ version, data }) => [version, data])).toEqual([
    [1, "kept-1"],
    [2, "kept-2"],
    [3, "kept-4"],
    [4, "kept-5"],
  ]);
});

test("a log that was deleted comes from the streams that the index knows, without a backup", { timeout: 120_000 }, async () => {
  // Its subscription has the log's alarm go off in ten seconds.
  const own = await startEdge({ AUTH: "open" }, "test/edge/subscribed/worker.ts");
  onTestFinished(() => own.stop());
  const url = `${own.url}/v1/main`;
  const store = connectStore({ url });
  const kept = { type: "Kept", data: null };
  await store.appendToStream("A-1", [kept, kept]);
  await store.appendToStream("B-1", [kept]);
  const { log } = await store.health();
  await expect.poll(() => store.request("/reconcile/streams", indexedStreams)).toEqual({ streams: ["A-1", "B-1"], next: null });
  await own.kill();
  const files = await filesOf(own, "main", log);
  // Their alarms would send a new log what it lacks.
  for (const path of files.streams.values()) forgetAlarm(path);
  await deleteObject(files.log);
  await own.start();
  expect(await store.health()).toMatchObject({ events: 0, streams: 0 });
  const found = await headwater(["verify", "--url", url]);
  expect(found).toMatchObject({ exitCode: 1, stdout: "" });
  expect(found.stderr).toContain("A-1 has versions 1 to 2, and the log has lost the whole stream.");
  expect(found.stderr).toContain("B-1 has version 1, and the log has lost the whole stream.");
  const lines = ["the log: A-1 up to version 2, from the stream", "the log: B-1 up to version 1, from the stream"];
  expect(await headwater(["reconcile", "--dry-run", "--url", url])).toMatchObject({
    exitCode: 0,
    stdout: [
      "To be repaired, nothing was written:",
      ...lines,
      "the log once reached #3, and has another history now: events may have other positions than before, and it goes on from here",
      "",
    ].join("\n"),
  });
  expect(await store.health()).toMatchObject({ events: 0, streams: 0 });
  const repaired = await headwater(["reconcile", "--url", url]);
  expect(repaired.exitCode).toBe(0);
  // The streams come into the log in either order. If it is another one than before, that is said too.
  expect(repaired.stdout.split("\n").slice(0, 3)).toEqual(["Repaired:", ...lines]);
  expect(await store.health()).toMatchObject({ events: 3, streams: 2, diverged: 0, lostHistory: null });
  expect((await headwater(["verify", "--url", url])).stdout).toContain("clean: 3 events in 2 streams");
  await own.kill();
  for (const path of files.streams.values()) forgetAlarm(path);
  await deleteObject(files.log);
  const broken = files.streams.get("B-1") ?? "";
  await deleteObject(broken);
  await writeFile(broken, "This is no database.".repeat(1000));
  await own.start();
  const half = await headwater(["verify", "--url", url]);
  expect(half).toMatchObject({ exitCode: 1, stdout: "" });
  expect(half.stderr).toContain("A-1 has versions 1 to 2, and the log has lost the whole stream.");
  expect(half.stderr).toMatch(/B-1 is not in the log, and can't be looked at: \w/);
  // The others are repaired all the same.
  const mended = await headwater(["reconcile", "--url", url]);
  expect(mended).toMatchObject({ exitCode: 1, stdout: "" });
  expect(mended.stderr).toMatch(/B-1 can't be looked at: \w/);
  const after = await headwater(["verify", "--url", url]);
  expect(after.stderr).toMatch(/B-1 is not in the log, and can't be looked at: \w/);
  expect(after.stderr).not.toContain("A-1");
});

test("a log that was put back and used again: it is told, a backup says where its events were, and reconcile goes on from there", {
  timeout: 120_000,
}, async () => {
  const given = await filled();
  const { url, store, change, backup } = given;
  await change(({ log, streams }) => {
    withDatabase(log, (db) => db.exec("DELETE FROM runs WHERE last_position > 2"));
    for (const path of streams.values()) forgetAlarm(path);
  });
  // B-1@1 was at 3, and A-1@3 at 4.
  await store.appendToStream("A-1", [{ type: "Kept", data: "new" }]);
  expect(await store.health()).toMatchObject({ events: 5, lostHistory: { head: 5 } });
  const once = "The log once reached #5 with another history than it has now: it has lost its end, was put back, or deleted.";
  const verified = await headwater(["verify", "--url", url]);
  expect(verified).toMatchObject({ exitCode: 1, stdout: "" });
  expect(verified.stderr).toContain(once);
  expect(verified.stderr).toContain("The streams were not compared with the log");
  const out = join(folder, `${given.id}-later.ndjson`);
  // It may have taken the place of one that is gone.
  const left = await headwater(["reconcile", "--dry-run", "--url", url]);
  expect(left).toMatchObject({ exitCode: 1, stdout: "" });
  expect(left.stderr).toContain("The log once reached #5 with another history than it has now, and ends at #5. Events may be gone:");
  const exported = await headwater(["export", "--url", url, "--out", out]);
  expect(exported.exitCode).toBe(1);
  expect(exported.stderr).toContain("the log once reached #5 with another history");
  expect((await readFile(out, "utf8")).trimEnd().split("\n")).toHaveLength(5 + 1);
  // A file of as many events, which was written after the loss.
  const later = await headwater(["reconcile", "--dry-run", "--url", url, "--against", out]);
  expect(later).toMatchObject({ exitCode: 1, stdout: "" });
  expect(later.stderr).toContain("Events may be gone:");
  expect((await headwater(["restore", backup, "--url", url])).stdout).toBe(
    [
      "1 events restored, 4 were there already; 5 events in 2 streams.",
      "3 have another position than in the file: the store had other events before, or had them in another order.",
      "It has all: the log once reached #5, and has another history now: events may have other positions than before, and it goes on from here.",
      "",
    ].join("\n"),
  );
  expect(await store.health()).toMatchObject({ events: 6, lostHistory: null });
  expect(await headwater(["verify", "--url", url])).toMatchObject({ exitCode: 0 });
  expect((await headwater(["reconcile", "--url", url])).stdout).toBe("Nothing to repair: the log and 2 streams agree.\n");
});

test("an event that the log and its stream have lost is named by the log's memory and by a backup, and given up only on request", {
  timeout: 120_000,
}, async () => {
  const { url, store, change, backup } = await filled();
  await change(({ log, streams }) => {
    withDatabase(log, (db) => db.exec("DELETE FROM runs WHERE last_position = 5"));
    withDatabase(streams.get("A-1") ?? "", (db) => db.exec("DELETE FROM _cf_KV WHERE key = '0000000000000004'"));
    for (const path of streams.values()) forgetAlarm(path);
  });
  const alone = await headwater(["reconcile", "--url", url]);
  expect(alone).toMatchObject({ exitCode: 1, stdout: "" });
  expect(alone.stderr).toContain("The log once reached #5 with another history than it has now, and ends at #4. Events may be gone:");
  expect(await headwater(["reconcile", "--dry-run", "--url", url])).toMatchObject({ exitCode: 1, stdout: "" });
  const part = await headwater(["reconcile", "--url", url, "--accept-loss", "--prefix", "A"]);
  expect(part).toMatchObject({ exitCode: 1, stdout: "" });
  expect(part.stderr).toContain("--accept-loss is about the whole store");
  const against = await headwater(["reconcile", "--url", url, "--against", backup]);
  expect(against).toMatchObject({ exitCode: 1, stdout: "" });
  expect(against.stderr).toContain("A-1 ends at version 3, and the file has version 4: headwater restore FILE brings them back.");
  expect(await store.health()).toMatchObject({ events: 4, lostHistory: { head: 5 } });
  expect(await headwater(["reconcile", "--url", url, "--accept-loss"])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("it goes on from here"),
  });
  expect(await store.health()).toMatchObject({ events: 4, lostHistory: null });
  expect(await headwater(["verify", "--url", url])).toMatchObject({ exitCode: 0 });
});

test("a log that was deleted together with the index comes from the streams that a backup names, and reconcile says so", {
  timeout: 120_000,
}, async () => {
  const given = await filled();
  const { url, store, change, backup } = given;
  await change(async ({ log, index, streams }) => {
    for (const path of streams.values()) forgetAlarm(path);
    await deleteObject(log);
    await deleteObject(index ?? "");
  });
  const done = await headwater(["reconcile", "--url", url, "--against", backup]);
  expect(done).toMatchObject({ exitCode: 0 });
  const lines = ["the log: A-1 up to version 4, from the stream", "the log: B-1 up to version 1, from the stream"];
  expect(done.stdout.trimEnd().split("\n").sort()).toEqual(["Repaired:", ...lines].sort());
  expect(await store.health()).toMatchObject({ events: 5, streams: 2 });
});

test("events that the log has otherwise are saved, and give way", { timeout: 120_000 }, async () => {
  const store = await filled();
  const [stream, log, later] = ["stream", "log", "later"].map((name) => join(folder, `${store.id}-${name}`)) as [string, string, string];
  const saved = join(folder, `${store.id}-replaced.ndjson`);
  await store.change(async (files) => {
    await copyObject(files.streams.get("B-1") ?? "", stream);
    await copyObject(files.log, log);
  });
  await store.store.appendToStream("B-1", [{ type: "Kept", data: "in the log" }]);
  await store.change(async (files) => {
    await copyObject(files.log, later);
    await copyObject(stream, files.streams.get("B-1") ?? "");
    await copyObject(log, files.log);
  });
  for (const data of ["in the stream alone", "and behind it"]) await store.store.appendToStream("B-1", [{ type: "Other", data }]);
  await store.change((files) => copyObject(later, files.log));
  const left = await headwater(["reconcile", "--url", store.url]);
  expect(left.exitCode).toBe(1);
  expect(left.stderr).not.toContain("from the stream");
  expect(left.stderr).toContain(
    "B-1 has other events than the log at versions 2 to 3: --save-replaced FILE saves them, and takes those of the log.",
  );
  expect(await headwater(["reconcile", "--url", store.url, "--save-replaced", saved])).toMatchObject({
    exitCode: 0,
    stdout: "Repaired:\nB-1 at version 2\n",
  });
  const replaced = (await readFile(saved, "utf8")).trimEnd().split("\n");
  expect(replaced.map((line) => JSON.parse(line))).toMatchObject([
    { streamId: "B-1", version: 2, data: "in the stream alone" },
    { streamId: "B-1", version: 3, data: "and behind it" },
  ]);
  expect((await store.store.readStream("B-1")).events.map(({ data }) => data)).toEqual(["kept-3", "in the log"]);
  expect(await store.store.health()).toMatchObject({ events: 6, diverged: 0 });
});
