/** Follows the steps of docs/operations.md for damaged storage, a backup, its restore and the deletion of a store, each line as it stands there. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { blocksOf } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { changeText, filesOf } from "../support/edge-files.ts";
import { inShell, outputOf } from "../support/shell.ts";
import { SECRET, signToken } from "../support/tokens.ts";

let edge: EdgeProcess;
let folder: string;
beforeAll(async () => {
  edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
  folder = await mkdtemp(join(tmpdir(), "headwater-operations-"));
});
afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

/** The commands of a block, without the line that sets the token. */
function commandsOf(what: string): string[] {
  const [setting = "", ...commands] =
    blocksOf("docs/operations.md")
      .find(({ language, code }) => language === "sh" && code.includes(what))
      ?.code.trimEnd()
      .split("\n") ?? [];
  expect(setting).toContain("export HEADWATER_TOKEN=");
  return commands;
}

test("damage is found, and repaired, step by step", async () => {
  const token = await signToken({ sub: "ann" });
  const store = connectStore({ url: `${edge.url}/v1/permits`, token: () => token });
  for (const n of [1, 2, 3]) await store.appendToStream(`Permit-${n % 2}`, [{ type: "Noted", data: `kept-${n}` }]);
  const run = async (line: string, exitCode = 0) =>
    outputOf(inShell(line, edge.url, { HEADWATER_TOKEN: await signToken({ sub: "operator", can: ["read", "admin"] }) }, folder), exitCode);
  await run("npx headwater export --url https://example.com/v1/permits --out permits.ndjson");
  const { log } = await store.health();
  await edge.kill();
  const files = await filesOf(edge, "permits", log);
  expect(changeText(files.log, "log", "kept-2", "kfpt-2")).toBe(1);
  await edge.start();
  const [verifying = "", trying = "", repairing = "", comparing = "", ...others] = commandsOf("headwater reconcile");
  expect(others).toEqual([]);
  expect(await run(verifying, 1)).toContain("The log can't be read at position 2: its storage is damaged there.");
  expect(await run(trying)).toContain("To be repaired, nothing was written:\nthe log at position 2, from the streams");
  expect(await run(repairing)).toContain("Repaired:\nthe log at position 2, from the streams");
  expect(await run(comparing)).toContain("clean: 3 events compared with permits.ndjson: all are equal.");
});

test("a backup and a restore, step by step", async () => {
  const token = await signToken({ sub: "ann" });
  const store = connectStore({ url: `${edge.url}/v1/permits`, token: () => token });
  const { events } = await store.health();
  for (let n = events; n < 3; n++) await store.appendToStream(`Permit-${n % 2}`, [{ type: "Noted", data: { n } }]);
  const run = async (line: string, can: readonly string[]) =>
    outputOf(inShell(line, edge.url, { HEADWATER_TOKEN: await signToken({ sub: "operator", can }) }, folder));
  const [exporting = "", verifying = "", zipping = "", ...others] = commandsOf("headwater export");
  expect(others).toEqual([]);
  await run(exporting, ["read"]);
  expect(await run(verifying, ["read"])).toContain("clean: 3 events compared with permits.ndjson: all are equal.");
  await run(zipping, []);
  const [restoring = "", comparing = "", ...more] = commandsOf("headwater restore");
  expect(more).toEqual([]);
  expect(await run(restoring, ["admin"])).toContain("3 events restored, 0 were there already; 3 events in 2 streams.");
  expect(await run(comparing, ["read"])).toContain("clean: 3 events compared with permits.ndjson.gz: all are equal.");
});

test("a store is counted and then deleted", async () => {
  const token = await signToken({ sub: "ann" });
  const store = connectStore({ url: `${edge.url}/v1/permits`, token: () => token });
  const run = async (line: string) =>
    outputOf(inShell(line, edge.url, { HEADWATER_TOKEN: await signToken({ sub: "operator", can: ["admin"] }) }, folder));
  await store.appendToStream("Permit-9", [{ type: "Noted", data: {} }]);
  const head = await store.head();
  const [counting = "", deleting = "", ...others] = commandsOf("headwater delete");
  expect(others).toEqual([]);
  expect(await run(counting)).toContain(`permits would lose ${head} events in `);
  expect(await store.head()).toBe(head);
  expect(await run(deleting)).toContain(`permits is deleted: ${head} events in `);
  await expect(store.head()).rejects.toMatchObject({ code: "store-deleted" });
});
