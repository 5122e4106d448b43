/** The command line before a store whose files were changed while its edge did not run. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore, StorageDamagedError } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { changeText, filesOf } from "../support/edge-files.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
let folder: string;

beforeAll(async () => {
  edge = await startEdge();
  folder = await mkdtemp(join(tmpdir(), "headwater-damage-"));
});

afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

/** A store with A-1@1–2 at 1–2, B-1@1 at 3, A-1@3 at 4, A-1@4 at 5. The data of each event has the store's own text. */
async function filled() {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  const store = connectStore({ url });
  const text = (n: number) => `${id}-kept-${n}`;
  await store.appendToStream(
    "A-1",
    [1, 2].map((n) => ({ type: "Kept", data: text(n) })),
  );
  await store.appendToStream("B-1", [{ type: "Kept", data: text(3) }]);
  for (const n of [4, 5]) await store.appendToStream("A-1", [{ type: "Kept", data: text(n) }]);
  return { id, url, store, text, log: (await store.health()).log };
}

type Filled = Awaited<ReturnType<typeof filled>>;

/** Changes texts in the log or in A-1 while the edge does not run. */
async function damage({ id, log }: Filled, side: "stream" | "log", texts: readonly string[]): Promise<void> {
  await edge.kill();
  const files = await filesOf(edge, id, log);
  const path = side === "log" ? files.log : (files.streams.get("A-1") ?? "");
  expect(texts.map((text) => changeText(path, side, text, text.replace("kept", "kfpt")))).toEqual(texts.map(() => 1));
  await edge.start();
}

test("damage in the log: verify and export go on behind it, name it, and fail", { timeout: 120_000 }, async () => {
  const given = await filled();
  const { url, store, text } = given;
  await damage(given, "log", [text(4)]);
  const readAll = async () => {
    for await (const { position } of store.readAll()) expect(position).toBeLessThan(4);
  };
  const reading = readAll();
  await expect(reading).rejects.toThrow(StorageDamagedError);
  await expect(reading).rejects.toMatchObject({ position: 4, details: { position: 4 } });
  const verified = await headwater(["verify", "--url", url]);
  expect(verified).toMatchObject({ exitCode: 1, stdout: "" });
  expect(verified.stderr).toContain("2 findings:");
  expect(verified.stderr).toContain("The log can't be read at position 4: its storage is damaged there.");
  expect(verified.stderr).toContain("A-1@3 (#4) can't be read in the log, and the stream has it.");
  const out = join(folder, "log.ndjson");
  const exported = await headwater(["export", "--url", url, "--out", out]);
  expect(exported.exitCode).toBe(1);
  expect(exported.stderr).toContain("the file lacks what the store can't read, because the log's storage is damaged: position 4.");
  const lines = (await readFile(out, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.slice(0, -1).map(({ position }) => position)).toEqual([1, 2, 3, 5]);
  expect(lines.at(-1)).toMatchObject({ end: { events: 4, damaged: [{ first: 4, last: 4 }] } });
});

test("damage in a stream: verify names the stream, the versions and the side", { timeout: 120_000 }, async () => {
  const given = await filled();
  const { url, store, text } = given;
  await damage(given, "stream", [text(1), text(5)]);
  const verified = await headwater(["verify", "--url", url]);
  expect(verified).toMatchObject({ exitCode: 1, stdout: "" });
  expect(verified.stderr).toContain("2 findings:");
  expect(verified.stderr).toContain("A-1 can't be read at versions 1 to 2 in the stream: its storage is damaged there.");
  expect(verified.stderr).toContain("A-1 can't be read at version 4 in the stream: its storage is damaged there.");
  await expect(store.readStream("A-1")).rejects.toMatchObject({ code: "storage-damaged", version: 1, details: { streamId: "A-1" } });
  for (const direction of ["forwards", "backwards"] as const) {
    const damaged: object[] = [];
    const { events } = await store.readStream("A-1", { direction, onDamaged: (span) => damaged.push(span) });
    expect(events.map(({ version }) => version)).toEqual([3]);
    expect(damaged).toHaveLength(2);
    expect(damaged).toEqual(
      expect.arrayContaining([
        { first: 1, last: 2 },
        { first: 4, last: 4 },
      ]),
    );
  }
  // The log has all of it.
  const exported = await headwater(["export", "--url", url, "--out", join(folder, "stream.ndjson")]);
  expect(exported.exitCode).toBe(0);
});
