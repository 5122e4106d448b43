/** The documents' code, type-checked as it stands there, and the README's run against a real edge; and where they point to. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EdgeProcess, startEdge } from "../support/edge.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Within the package, so that `headwater` names what was built of it. */
const FOLDER = join(ROOT, "test-results/readme");

let edge: EdgeProcess;
let blocks: Record<string, string[]>;

beforeAll(async () => {
  edge = await startEdge();
  await mkdir(FOLDER, { recursive: true });
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const all = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
    language: language ?? "",
    text: text ?? "",
  }));
  blocks = Object.fromEntries(
    Object.entries(Object.groupBy(all, ({ language }) => language)).map(([key, own]) => [key, (own ?? []).map(({ text }) => text)]),
  );
});

afterAll(async () => {
  await edge.stop();
  await rm(FOLDER, { recursive: true, force: true });
});

async function block(language: string, index: number): Promise<string> {
  const text = blocks[language]?.[index];
  if (text === undefined) throw new Error(`The README has no block ${index} of ${language}.`);
  return text;
}

/** What the code prints, on a device of its own, with the test's edge in the place of the one of `npm start`. */
async function outputOf(code: string, name: string, settings: Readonly<Record<string, string>> = {}): Promise<string> {
  const file = join(FOLDER, `${name}.ts`);
  await writeFile(file, code.replaceAll("http://127.0.0.1:8787", edge.url));
  const { stdout } = await run(process.execPath, ["--import", "fake-indexeddb/auto", file], {
    cwd: ROOT,
    env: { ...process.env, ...settings },
  });
  return stdout;
}

async function check(code: string, name: string, lib: string, types: string): Promise<void> {
  const file = join(FOLDER, `${name}-types.ts`);
  await writeFile(file, code);
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  await run(process.execPath, ["node_modules/typescript/bin/tsc", "--ignoreConfig", ...options, "--lib", lib, "--types", types, file], {
    cwd: ROOT,
  });
}

test("the first page of code does what it says", async () => {
  const code = await block("ts", 0);
  await check(code, "first-page", "es2024,dom,dom.iterable,dom.asynciterable", "");
  expect(await outputOf(code, "first-page")).toBe(await block("text", 0));
});

test("a script talks to the edge over HTTP", async () => {
  const code = await block("ts", 1);
  await check(code, "script", "es2024,dom,dom.iterable,dom.asynciterable", "");
  expect(await outputOf(code, "script")).toMatch(/^Permit-2@1 #\d+\n$/);
});

test("a few lines sign a token", async () => {
  const code = await block("ts", 2);
  await check(code, "token", "es2024,dom", "node");
  expect(await outputOf(code, "token", { JWT_SECRET: "0123456789abcdef0123456789abcdef" })).toBe("3\n");
});

test("a Worker of one's own embeds the edge", async () => {
  await check(await block("ts", 3), "worker", "es2024,esnext.disposable", "@cloudflare/workers-types");
});

test("the code of the other documents compiles", async () => {
  const pages = (await readdir(join(ROOT, "docs"), { recursive: true })).filter((path) => path.endsWith(".md"));
  // A page whose blocks belong together has a test of its own.
  const files = pages.filter((path) => !existsSync(join(ROOT, "test/docs", path.replace(/\.md$/, ".test.ts"))));
  const texts = await Promise.all(files.map((file) => readFile(join(ROOT, "docs", file), "utf8")));
  const code = texts.flatMap((text) => [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => block));
  expect(code.length).toBeGreaterThan(0);
  for (const [i, block] of code.entries()) await check(block, `docs-${i}`, "es2024,dom,dom.iterable,dom.asynciterable", "");
});

test("the commands are those that there are", async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const commands = (blocks["sh"] ?? []).join("");
  for (const [, name] of commands.matchAll(/npm (start|test)/g)) expect(scripts).toHaveProperty(name ?? "");
  for (const [, name] of commands.matchAll(/npx headwater (\w+)/g)) {
    const { stdout } = await run(process.execPath, ["dist/cli/main.js", name ?? "", "--help"], { cwd: ROOT });
    expect(stdout).toContain(`Usage: headwater ${name}`);
  }
});

test("what the documents point to is there", async () => {
  const files = (await readdir(ROOT, { recursive: true })).filter((path) => /^([A-Z]+|docs\/.+)\.md$/.test(path));
  expect(files.length).toBeGreaterThan(8);
  for (const file of files) {
    const text = await readFile(join(ROOT, file), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      expect(existsSync(join(ROOT, dirname(file), target)), `${file} points to ${target}`).toBe(true);
    }
  }
});
