/** Type-checks and runs the code of docs/schemas.md exactly as it is there, against the edge that is a part of it. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EdgeProcess, startEdge } from "../support/edge.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Within the package, so that `headwater` names what was built of it. */
const FOLDER = "test-results/schemas";

let edge: EdgeProcess;
let output: string;
/** By the name in a block's first line. */
const files = new Map<string, string>();

beforeAll(async () => {
  await mkdir(join(ROOT, FOLDER), { recursive: true });
  const page = await readFile(join(ROOT, "docs/schemas.md"), "utf8");
  const { exports } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  output = /```text\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  for (const [, code = ""] of page.matchAll(/```ts\n([\s\S]*?)```/g)) {
    const [, name] = /^\/\/ ([\w-]+\.ts)\n/.exec(code) ?? [];
    if (name === undefined) throw new Error(`A block of docs/schemas.md has no name:\n${code}`);
    // Where the package has no entry of that name, the file that the entry is to be made of.
    const testing = "./testing" in exports ? "headwater/testing" : "../../client/testing/upcasters.ts";
    const own = code.replace("headwater/testing", testing);
    files.set(name, own);
    await writeFile(join(ROOT, FOLDER, name), own);
  }
  const settings = await readFile(join(ROOT, "test/support/wrangler.toml"), "utf8");
  await writeFile(join(ROOT, FOLDER, "wrangler.toml"), settings.replace("../../worker/main.ts", "worker.ts"));
  edge = await startEdge({ AUTH: "open" }, `${FOLDER}/wrangler.toml`);
});

afterAll(async () => {
  await edge?.stop();
  await rm(join(ROOT, FOLDER), { recursive: true, force: true });
});

test("the page's blocks compile", async () => {
  expect([...files.keys()]).toEqual(["event-types.ts", "worker.ts", "script.ts", "device.ts", "samples.ts"]);
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  const tsc = ["node_modules/typescript/bin/tsc", "--ignoreConfig", "--allowImportingTsExtensions", ...options];
  const check = (lib: string, types: string, ...names: string[]) =>
    run(process.execPath, [...tsc, "--lib", lib, "--types", types, ...names.map((name) => join(FOLDER, name))], { cwd: ROOT });
  await check("es2024,esnext.disposable", "@cloudflare/workers-types", "worker.ts");
  await check("es2024,dom,dom.iterable,dom.asynciterable", "", "script.ts", "samples.ts");
});

async function outputOf(name: string): Promise<string> {
  const file = join(ROOT, FOLDER, name);
  await writeFile(file, (files.get(name) ?? "").replaceAll("http://127.0.0.1:8787", edge.url));
  return (await run(process.execPath, [file], { cwd: ROOT })).stdout;
}

test("the script does what the page says, at the page's edge", async () => {
  expect(await outputOf("script.ts")).toBe(output);
});

test("the samples replay", async () => {
  expect(await outputOf("samples.ts")).toBe("");
});

test("the edge has the types", async () => {
  const append = (event: object) =>
    fetch(`${edge.url}/v1/other/streams/Permit-1`, { method: "POST", body: JSON.stringify({ events: [event] }) });
  expect((await append({ type: "PermitGranted", data: { until: 1 } })).status).toBe(400);
  expect((await append({ type: "PermitGranted", data: { until: "2027-01-01" } })).status).toBe(201);
});
