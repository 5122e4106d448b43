/**
 * A restore that breaks off at each of its requests, before the edge gets it or after the edge has answered, while the edge loses its memory.
 * The edge is the one in memory, and has small limits, so that the restore takes many requests.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { exportStore } from "../../../cli/export.ts";
import { abandonRestore, restoreFile } from "../../../cli/restore.ts";
import type { EdgeStore } from "../../../client/http.ts";
import { type MemoryEdge, openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { type BreakOff, breakingStore } from "./breaking-store.ts";

/** Small enough for two streams and some events in a request. */
const LIMITS = { pushStreams: 1, bodyBytes: 2_500 };

let edge: MemoryEdge;
let folder: string;
let backup: string;
let text: string;

beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // the progress
  edge = await openMemoryEdge(createEdge({ limits: LIMITS }));
  folder = await mkdtemp(join(tmpdir(), "headwater-restore-"));
  const store = at("original");
  for (let i = 0; i < 12; i++) {
    await store.appendToStream(`${["Permit", "Note", "Ticket"][i % 3]}-${i % 4}`, [
      { type: "Noted", data: { n: i, text: "ä€💧" } },
      { type: "Noted", data: null },
    ]);
  }
  backup = join(folder, "backup.ndjson");
  text = await exportOf(store, backup);
});

afterAll(async () => {
  vi.restoreAllMocks();
  await edge.close();
  await rm(folder, { recursive: true });
});

const at = (name: string, onRequest?: BreakOff) => breakingStore(edge, name, onRequest);

async function exportOf(store: EdgeStore, out = join(folder, "copy.ndjson")): Promise<string> {
  await exportStore(store, out);
  return readFile(out, "utf8");
}

/** What a reader sees: the head, or the code of an error. */
async function seenOf(name: string): Promise<number | string> {
  return at(name)
    .head()
    .catch((error: { code: string }) => error.code);
}

/** How many requests a restore takes. */
async function requestsOf(name: string): Promise<number> {
  let requests = 0;
  await restoreFile(
    at(name, (count) => {
      requests = count;
      return undefined;
    }),
    backup,
  );
  return requests;
}

test("at any request, once or twice: nobody sees a part, and in the end the copy is the same to the byte", async () => {
  const requests = await requestsOf("undisturbed");
  expect(requests).toBeGreaterThan(15);
  expect(await exportOf(at("undisturbed"))).toBe(text);
  for (let first = 1; first <= requests; first++) {
    for (const when of ["before", "after"] as const) {
      const name = `broken-${first}-${when}`;
      const seen: (number | string)[] = [];
      for (const broken of [first, 1 + ((first * 7) % requests)]) {
        await restoreFile(
          at(name, (count) => (count === broken ? when : undefined)),
          backup,
        ).catch(() => undefined);
        seen.push(await seenOf(name));
      }
      for (const one of seen) expect([name, [0, "unavailable", 24].includes(one)]).toEqual([name, true]);
      // Only a restore that never reached the edge leaves the store open.
      if (first > 1) expect([name, seen[0] === 0]).toEqual([name, false]);
      await restoreFile(at(name), backup);
      expect([name, (await exportOf(at(name))) === text]).toEqual([name, true]);
      const { version } = await at(name).readStream("Permit-0");
      expect(await at(name).appendToStream("Permit-0", [{ type: "After", data: 1 }], { expectedVersion: version })).toMatchObject({
        position: 25,
      });
    }
  }
});

test("abandoned after any request, the store is empty, takes appends, and then another restore finds what differs", async () => {
  const requests = await requestsOf("abandoned");
  for (let last = 2; last < requests; last++) {
    const name = `abandoned-${last}`;
    await restoreFile(
      at(name, (count) => (count === last ? "after" : undefined)),
      backup,
    ).catch(() => undefined);
    // What was finished can't be abandoned.
    if ((await seenOf(name)) === 24) continue;
    await abandonRestore(at(name));
    expect([name, await seenOf(name)]).toEqual([name, 0]);
    await expect(at(name).readStream("Note-1")).rejects.toMatchObject({ code: "stream-not-found" });
    expect(await at(name).appendToStream("Note-1", [{ type: "Mine", data: 1 }])).toMatchObject({ version: 1, position: 1 });
    await expect(restoreFile(at(name), backup)).rejects.toThrow(
      "Note-1@1 is another event in the store: its id differs. Nothing was written.",
    );
    expect([name, await seenOf(name)]).toEqual([name, 1]);
  }
});

test("an empty store makes a backup that can be restored", async () => {
  await exportStore(at("empty"), join(folder, "empty.ndjson"));
  expect(await restoreFile(at("empty-copy"), join(folder, "empty.ndjson"))).toBe(
    "0 events restored, 0 were there already; 0 events in 0 streams.",
  );
  expect(await seenOf("empty-copy")).toBe(0);
});
