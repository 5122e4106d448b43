/** What a terminal would obey, in events, files and answers of a hostile edge: nothing of it is printed as it is. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { printFailure } from "../../cli/output.ts";
import { connectStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { headwater, startTail } from "./run.ts";

/** Clears the screen, sets the title by C1, turns the direction, and begins a line of its own. */
const HOSTILE = "a\u001b[2J\u009d0;b\u0007\u202ec\u2028d\u{e0041}\nclean: all is well";
const VISIBLE = String.raw`a\u001b[2J\u009d0;b\u0007\u202ec\u2028d\udb40\udc41`;
/** Every unseen character but the line break. */
const UNSEEN = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

let edge: EdgeProcess;
let folder: string;
beforeAll(async () => {
  edge = await startEdge();
  folder = await mkdtemp(join(tmpdir(), "headwater-output-"));
});
afterAll(async () => {
  await edge?.stop();
  await rm(folder, { recursive: true });
});

const newUrl = () => `${edge.url}/v1/${crypto.randomUUID()}`;

async function fileOf(text: string, name = `${crypto.randomUUID()}.ndjson`): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function expectHarmless({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): void {
  expect(stdout + stderr).not.toMatch(UNSEEN);
  expect(stdout + stderr).not.toMatch(/^clean: all is well/m);
}

test("tail and export write events visibly, as JSON that means the same, and the export's digest fits", async () => {
  const url = newUrl();
  const data = { [HOSTILE]: HOSTILE };
  await connectStore({ url }).appendToStream("A-1", [{ type: "Noted", data, metadata: { note: HOSTILE } }]);
  const tail = startTail(["--after", "0", "--url", url]);
  expect(await tail.lines(1)).toMatchObject([{ data, metadata: { note: HOSTILE } }]);
  expect(tail.text()).toContain(VISIBLE);
  expectHarmless({ stdout: tail.text(), stderr: "" });
  expect(await tail.end("SIGINT")).toBe(0);
  const exported = await headwater(["export", "--url", url]);
  expectHarmless(exported);
  expect(JSON.parse(exported.stdout.split("\n")[0] ?? "")).toMatchObject({ data });
  const path = await fileOf(exported.stdout);
  expect(await headwater(["verify", "--url", url, "--against", path])).toMatchObject({ exitCode: 0 });
  const other = newUrl();
  expect(await headwater(["restore", path, "--url", other])).toMatchObject({ exitCode: 0 });
  await headwater(["export", "--url", other, "--out", join(folder, "again.ndjson")]);
  expect(await readFile(join(folder, "again.ndjson"), "utf8")).toBe(exported.stdout);
});

test.each<[string, readonly string[]]>([
  ["verify", []],
  ["export", []],
  ["tail", ["--after", "0"]],
  ["import", ["FILE"]],
  ["restore", ["FILE"]],
  ["restore", ["--abandon"]],
])("%s %o shows what a hostile edge answers", async (command, more) => {
  const server = createServer((request, response) => {
    request.resume();
    const problem = { type: "about:blank", code: "forbidden", detail: HOSTILE, title: HOSTILE, status: 403 };
    response.writeHead(403, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const event = { id: crypto.randomUUID(), streamId: "A-1", version: 1, position: 1, type: "Noted", schemaVersion: 1, data: {} };
  const line = { ...event, metadata: {}, occurredAt: "2026-01-01T00:00:00.000Z", recordedAt: "2026-01-01T00:00:00.000Z", actor: null };
  const store = newUrl();
  const origin = await fileOf(`${JSON.stringify({ stream: "A-1", type: "Noted", data: {} })}\n`);
  await headwater(["import", origin, "--url", store]);
  const backup = await fileOf((await headwater(["export", "--url", store])).stdout);
  const file = command === "import" ? await fileOf(`${JSON.stringify(line)}\n`) : backup;
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/v1/hostile`;
  const result = await headwater([command, ...more.map((part) => (part === "FILE" ? file : part)), "--url", url]);
  server.close();
  expectHarmless(result);
  expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(VISIBLE) });
});

test.each([
  ["an unknown name", JSON.stringify({ stream: "A-1", type: "Noted", data: {}, [HOSTILE]: 1 })],
  ["a type that is none", JSON.stringify({ stream: "A-1", type: HOSTILE, data: {} })],
  ["what is no JSON", '{"stream":"A-1",\u001b[2J\u009d0;b\u0007\u202e}'],
])("import shows %s of a hostile file", async (_name, text) => {
  const result = await headwater(["import", await fileOf(`${text}\n`), "--url", newUrl()]);
  expect(result.exitCode).toBe(1);
  expectHarmless(result);
});

test("names of files are shown too, and what is wrong with the arguments", async () => {
  const name = "a\u001b[2J\u009db\u202e";
  for (const args of [
    ["import", join(folder, name), "--url", newUrl()],
    ["verify", "--against", join(folder, name), "--url", newUrl()],
    ["export", "--out", join(folder, name, "no"), "--url", newUrl()],
    [name],
    ["tail", "--url", newUrl(), `--${name}`],
    ["token", "--grant", name],
  ]) {
    const result = await headwater(args, "", { JWT_SECRET: "0123456789abcdef0123456789abcdef" });
    expect(result.exitCode).toBe(1);
    expectHarmless(result);
    expect(result.stderr).toContain(String.raw`a\u001b[2J\u009db\u202e`);
  }
});

test("an error that nobody foresaw has its stack, and its message on one line", () => {
  const written: string[] = [];
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  printFailure(new TypeError(HOSTILE));
  printFailure(HOSTILE);
  write.mockRestore();
  expectHarmless({ stdout: "", stderr: written.join("") });
  expect(written[0]).toMatch(/^headwater: a\\u001b.*\n +at /);
  expect(written[1]).toMatch(/^headwater: a\\u001b.*\n$/);
});
