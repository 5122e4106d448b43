/** `export`, `restore` and `verify --against` at a real edge that knows its callers. `test/edge/backup.test.ts` kills them on the way. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkBackup } from "../../cli/backup-file.ts";
import { endLine, LinesDigest } from "../../cli/end-line.ts";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
let folder: string;
/** An export of a store with two streams, without its end line. */
let lines: string[];
let backup: string;
let operator: string;

beforeAll(async () => {
  edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
  folder = await mkdtemp(join(tmpdir(), "headwater-backup-"));
  operator = await signToken({ sub: "operator", can: ["read", "append", "admin"] });
  const url = newUrl();
  const ann = await storeOf(url, "ann");
  const bob = await storeOf(url, "bob");
  const id = crypto.randomUUID();
  await ann.appendToStream("Permit-1", [{ id, type: "Requested", data: { text: "ä€💧" } }]);
  await bob.appendToStream("Note-1", [{ type: "Noted", data: [1, 2], metadata: { causationId: id, correlationId: id } }]);
  await ann.appendToStream("Permit-1", [
    { type: "Granted", data: null },
    { type: "Closed", data: 0.5, occurredAt: "2020-02-29T12:00:00Z" },
  ]);
  backup = join(folder, "backup.ndjson");
  expect(await run("export", "--url", url, "--out", backup)).toMatchObject({ exitCode: 0 });
  lines = (await readFile(backup, "utf8")).trimEnd().split("\n").slice(0, -1);
});

afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

const newUrl = () => `${edge.url}/v1/${crypto.randomUUID()}`;

async function storeOf(url: string, sub: string): Promise<EdgeStore> {
  const token = await signToken({ sub });
  return connectStore({ url, token: () => token });
}

const run = (...args: string[]) => headwater(args, undefined, { HEADWATER_TOKEN: operator });

/** A file of these lines, with the end line that fits, or with another one. */
async function fileOf(given: readonly string[], end?: string): Promise<string> {
  const digest = new LinesDigest();
  for (const line of given) digest.add(line, idIn(line));
  const path = join(folder, `${crypto.randomUUID()}.ndjson`);
  await writeFile(path, `${[...given, end ?? endLine(digest.end())].filter((line) => line !== "").join("\n")}\n`);
  return path;
}

function idIn(line: string): string {
  return /"id":"([^"]*)"/.exec(line)?.[1] ?? "";
}

const changed = (line: string | undefined, change: object) => JSON.stringify({ ...JSON.parse(line ?? ""), ...change });

test("a restored store exports the same file, with actors, times and positions, and verify compares all of it", async () => {
  const url = newUrl();
  const restored = await run("restore", backup, "--url", url);
  expect(restored).toMatchObject({ exitCode: 0, stdout: "4 events restored, 0 were there already; 4 events in 2 streams.\n" });
  const copy = await run("export", "--url", url);
  expect(copy.stdout).toBe(await readFile(backup, "utf8"));
  expect(
    copy.stdout
      .split("\n")
      .slice(0, 2)
      .map((line) => JSON.parse(line).actor),
  ).toEqual(["ann", "bob"]);
  expect((await run("verify", "--against", backup, "--url", url)).stdout).toContain(
    `clean: 4 events compared with ${backup}: all are equal.`,
  );
  // The store goes on after the backup, in the name of who appends.
  const bob = await storeOf(url, "bob");
  expect(await bob.appendToStream("Permit-1", [{ type: "After", data: 1 }], { expectedVersion: 3 })).toMatchObject({ version: 4 });
  expect(await run("restore", backup, "--url", url)).toMatchObject({
    exitCode: 0,
    stdout: "0 events restored, 4 were there already; 4 events in 2 streams.\n",
  });
});

test("a file that has grown adds what the store lacks", async () => {
  const url = newUrl();
  expect(await run("restore", await fileOf(lines.slice(0, 2)), "--url", url)).toMatchObject({ exitCode: 0 });
  expect(await run("restore", backup, "--url", url)).toMatchObject({
    exitCode: 0,
    stdout: "2 events restored, 2 were there already; 4 events in 2 streams.\n",
  });
  expect((await run("export", "--url", url)).stdout).toBe(await readFile(backup, "utf8"));
});

test("a store with another event is refused by line, stream and version, and stays as it was", async () => {
  const url = newUrl();
  const ann = await storeOf(url, "ann");
  await ann.appendToStream("Note-1", [{ type: "Mine", data: 1 }]);
  const refused = await run("restore", backup, "--url", url);
  expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
  expect(refused.stderr).toContain("line 2: Note-1@1 is another event in the store: its id differs. Nothing was written.");
  expect((await ann.readStream("Note-1")).events.map(({ type }) => type)).toEqual(["Mine"]);
  await expect(ann.readStream("Permit-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await ann.appendToStream("Permit-1", [{ type: "Mine", data: 2 }], { expectedVersion: "no-stream" });
  expect(await ann.head()).toBe(2);
});

test("other streams of the store stay, and the report says that positions are others", async () => {
  const url = newUrl();
  const ann = await storeOf(url, "ann");
  await ann.appendToStream("Other-1", [{ type: "Mine", data: 1 }]);
  const restored = await run("restore", backup, "--url", url);
  expect([restored.exitCode, restored.stdout]).toEqual([
    0,
    "4 events restored, 0 were there already; 4 events in 2 streams.\n4 have another position than in the file: the store had other events before, or had them in another order.\n",
  ]);
  const verified = await run("verify", "--against", backup, "--url", url);
  expect(verified.exitCode).toBe(1);
  expect(verified.stderr).toContain("5 findings:");
  expect(verified.stderr).toContain("Other-1@1 (#1) is in the store and not in the file.");
  expect(verified.stderr).toContain("line 1: Permit-1@1 is #1 in the file and #2 in the store.");
});

test("verify names what is missing, too much and different, with line, stream, version and position", async () => {
  const url = newUrl();
  expect(await run("restore", backup, "--url", url)).toMatchObject({ exitCode: 0 });
  const more = changed(lines[3], { id: crypto.randomUUID(), version: 4, position: 5 });
  const other = [lines[0] ?? "", changed(lines[1], { data: [1, 3] }), changed(lines[2], { actor: "eve" }), more];
  const verified = await run("verify", "--url", url, "--against", await fileOf(other));
  expect(verified).toMatchObject({ exitCode: 1, stdout: "" });
  for (const finding of [
    "4 findings:",
    "Permit-1@3 (#4) is in the store and not in the file.",
    "line 2: Note-1@1 (#2) differs in data.",
    "line 3: Permit-1@2 (#3) differs in actor.",
    "line 4: Permit-1@4 (#5) is in the file and not in the store.",
  ]) {
    expect(verified.stderr).toContain(finding);
  }
});

test.each<[string, () => readonly string[], string | undefined, string]>([
  ["was cut", () => lines.slice(0, 3), "", "has no end line after its 3 events: it was cut, or is not the file of an export."],
  ["has a hole", () => lines.toSpliced(1, 1), undefined, "line 2 has the position 3 at column"],
  [
    "has lines in another order",
    () => [...lines.slice(0, 2), ...lines.slice(2).reverse()],
    undefined,
    "line 3 has the position 4 at column",
  ],
  [
    "lacks a version",
    () => [lines[0] ?? "", changed(lines[2], { position: 2, version: 3 })],
    undefined,
    "line 2 has the version 3 at column",
  ],
  [
    "was changed",
    () => lines,
    '{"end":{"events":4,"mark":"0000000000000000","sha256":"none"}}',
    "line 5: the lines were changed after the export",
  ],
  [
    "lacks lines before its end",
    () => lines.slice(0, 3),
    '{"end":{"events":4,"mark":"0000000000000000","sha256":"none"}}',
    "line 4: the end line counts 4 events, but the file has 3",
  ],
  ["has an id twice in a stream", () => [lines[0] ?? "", changed(lines[0], { position: 2, version: 2 })], undefined, "Permit-1 has the id"],
  [
    "has an event without an actor",
    () => [changed(lines[0], { actor: undefined })],
    undefined,
    'line 1, column 1: A recorded event must have "actor".',
  ],
  [
    "has a time that does not exist",
    () => [(lines[0] ?? "").replace(/"recordedAt":"[^"]*"/, '"recordedAt":"2026-02-30T00:00:00.000Z"')],
    undefined,
    ": A time must be ISO 8601 in UTC",
  ],
  ["is of another system", () => ['{"stream":"A-1","type":"A","data":1}'], undefined, "line 1, column 1: A stream id must have"],
  [
    "has a name that nobody knows",
    () => [(lines[0] ?? "").replace("{", '{"other":1,')],
    undefined,
    'line 1 has an unknown name, "other", at column 2',
  ],
  ["has a line that is no JSON", () => [`${lines[0]}x`], undefined, "line 1 is not valid JSON at column"],
])("a file that %s is refused, with the place", async (_, given, end, message) => {
  const path = await fileOf(given(), end);
  await expect(checkBackup({ path, name: path, size: 1 })).rejects.toThrow(message);
});

test("a file that is refused leaves the store as it was", async () => {
  const url = newUrl();
  const refused = await run("restore", await fileOf(lines.slice(0, 3), ""), "--url", url);
  expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
  expect(refused.stderr).toContain("has no end line after its 3 events");
  expect(await (await storeOf(url, "ann")).head()).toBe(0);
});

test("restoring takes the action admin and nothing else; reading and appending are not enough", async () => {
  const url = newUrl();
  for (const [can, exitCode, said] of [
    [["read", "append"], 1, "(forbidden)"],
    [["admin"], 0, ""],
  ] as const) {
    const token = await signToken({ sub: "someone", can });
    const restored = await headwater(["restore", backup, "--url", url], undefined, { HEADWATER_TOKEN: token });
    expect([can, restored.exitCode, restored.stderr]).toEqual([can, exitCode, expect.stringContaining(said)]);
  }
});

test("a restore that was begun can be given up, and another file waits until then", async () => {
  const url = newUrl();
  const admin = connectStore({ url, token: () => operator });
  const response = await fetch(`${url}/restore`, {
    method: "POST",
    headers: { authorization: `Bearer ${operator}` },
    body: JSON.stringify({ file: "another", events: 9, mark: "0".repeat(16) }),
  });
  expect(response.status).toBe(200);
  const refused = await run("restore", backup, "--url", url);
  expect(refused.stderr).toContain("The store is being restored from another file, and has 0 of its 9 events");
  await expect(connectStore({ url, token: () => operator, retries: 0 }).head()).rejects.toMatchObject({ code: "unavailable" });
  expect(await run("restore", "--abandon", "--url", url)).toMatchObject({
    exitCode: 0,
    stdout: "Abandoned: the store had 0 of the 9 events of the file. They are gone, and nobody saw them.\n",
  });
  expect(await admin.head()).toBe(0);
  expect((await run("restore", "--abandon", "--url", url)).stderr).toContain("No restore of this store is under way.");
  expect(await run("restore", backup, "--url", url)).toMatchObject({ exitCode: 0 });
  for (const args of [
    ["restore", "--url", url],
    ["restore", backup, "--abandon", "--url", url],
  ]) {
    expect((await run(...args)).stderr).toContain("restore needs a file, or --abandon without one");
  }
});

test("import takes an export, and notices that it was cut or changed", async () => {
  const end = (await readFile(backup, "utf8")).trimEnd().split("\n").at(-1) ?? "";
  expect(await run("import", backup, "--url", newUrl())).toMatchObject({ exitCode: 0, stdout: "4 events appended, 0 already stored.\n" });
  for (const [given, message] of [
    [lines.slice(0, 3), "line 4 does not fit: it counts 4 lines, and 3 are before it. To import the lines as they are, remove line 4."],
    [lines.toSpliced(1, 1), "line 4 does not fit: it counts 4 lines, and 3 are before it."],
    [lines.toSpliced(1, 2, ...lines.slice(1, 3).reverse()), "line 5 does not fit: the lines before it were changed."],
    [lines.with(1, changed(lines[1], { data: 7 })), "line 5 does not fit: the lines before it were changed."],
  ] as const) {
    const url = newUrl();
    const refused = await run("import", await fileOf(given, end), "--url", url);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain(message);
    expect(await (await storeOf(url, "ann")).head()).toBe(0);
  }
  const url = newUrl();
  expect(await run("import", await fileOf(lines.slice(0, 2), ""), "--url", url)).toMatchObject({ exitCode: 0 });
  expect(await run("import", await fileOf(lines.slice(2), end), "--url", url)).toMatchObject({
    exitCode: 0,
    stdout: "2 events appended, 0 already stored.\n",
  });
});
