/** The examples of docs/testing.md, run as they stand there, without a browser and without anything global. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Within the package, so that `headwater` names what was built of it. */
const FOLDER = join(ROOT, "test-results/testing");
const BLOCK = /```(ts|text)\n([\s\S]*?)```/g;

beforeAll(() => mkdir(FOLDER, { recursive: true }));
afterAll(() => rm(FOLDER, { recursive: true, force: true }));

test.each([
  ["given, when, then", 0],
  ["the store in memory", 1],
])("%s", async (name, index) => {
  const blocks = [...(await readFile(join(ROOT, "docs/testing.md"), "utf8")).matchAll(BLOCK)];
  const texts = (language: string) => blocks.filter((block) => block[1] === language).map((block) => block[2] ?? "");
  const file = join(FOLDER, `${name.replaceAll(/\W+/g, "-")}.ts`);
  await writeFile(file, texts("ts")[index] ?? "");
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: ROOT });
  expect(stdout).toBe(texts("text")[index]);
});
