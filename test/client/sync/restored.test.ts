/** A device that followed a store which is restored from a backup elsewhere. */
import "fake-indexeddb/auto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { exportStore } from "../../../cli/export.ts";
import { restoreFile } from "../../../cli/restore.ts";
import { beginRestore, restoreBegun } from "../../../shared/wire/restore.ts";
import { parseMessage } from "../../../shared/wire/wire.ts";
import { dataOf, event } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";

const { anotherStore, devices } = edgeDevices();

async function backupOf(store: typeof devices.atEdge): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-restored-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "backup.ndjson");
  await exportStore(store, path);
  return path;
}

test("it diverges, keeps what is pending, and after a reset takes the copy and pushes the pending commits to it", async () => {
  const a = await devices.open("A");
  await a.appendToStream("A-1", [event(1), event(2)]);
  await a.sync();
  const backup = await backupOf(devices.atEdge);
  // Lost: it is not in the backup. Pending: it is on the device alone.
  await devices.atEdge.appendToStream("A-1", [event("lost")]);
  await a.sync();
  await a.appendToStream("B-1", [event("pending")]);
  await a.close();
  const restored = anotherStore();
  await restoreFile(restored.atEdge, backup);
  const moved = await devices.open("A", { sync: { url: restored.url, movedFrom: devices.url } });
  await expect(moved.sync()).rejects.toMatchObject({ code: "log-mismatch" });
  expect(moved.status).toMatchObject({ connection: "diverged", pending: 1 });
  expect(await dataOf(moved, "A-1")).toEqual([1, 2, "lost"]);
  await moved.reset({ keepPending: true });
  await moved.sync();
  expect(moved.status).toMatchObject({ pending: 0, conflicts: 0, cursor: { position: 3 } });
  expect(await dataOf(moved, "A-1")).toEqual([1, 2]);
  expect(await dataOf(restored.atEdge, "B-1")).toEqual(["pending"]);
});

test("while an empty store is being restored, a device gets nothing of it and says why", async () => {
  const request = parseMessage(beginRestore, { file: "file", events: 3, mark: "0".repeat(16) });
  await devices.atEdge.request("/restore", restoreBegun, request);
  const a = await devices.open("A");
  await a.appendToStream("A-1", [event("mine")]);
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("being restored from a backup") });
  expect(a.status).toMatchObject({ pending: 1, cursor: null });
});
