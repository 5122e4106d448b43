/** Follows the steps of docs/operations.md for a backup and its restore, each line as it stands there. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { blocksOf } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
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

test("a backup and a restore, step by step", async () => {
  const token = await signToken({ sub: "ann" });
  const store = connectStore({ url: `${edge.url}/v1/permits`, token: () => token });
  for (const n of [1, 2, 3]) await store.appendToStream(`Permit-${n % 2}`, [{ type: "Noted", data: { n } }]);
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
