/** The example of docs/modelling.md, compiled and run as it stands there, against what it is said to print. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Within the package, so that `headwater` names what was built of it. */
const FOLDER = join(ROOT, "test-results/modelling");
const OPTIONS = ["--ignoreConfig", "--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"];
const LIBRARY = ["--target", "es2022", "--lib", "es2024,dom,dom.iterable,dom.asynciterable", "--types", ""];

beforeAll(() => mkdir(FOLDER, { recursive: true }));
afterAll(() => rm(FOLDER, { recursive: true, force: true }));

test("the example compiles, and prints what the page says", async () => {
  const page = await readFile(join(ROOT, "docs/modelling.md"), "utf8");
  const blocks = [...page.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = "", text = ""]) => ({ language, text }));
  expect(blocks.map(({ language }) => language)).toEqual(["ts", "text"]);
  const [code, printed] = blocks;
  const file = join(FOLDER, "example.ts");
  await writeFile(file, code?.text ?? "");
  await run(process.execPath, ["node_modules/typescript/bin/tsc", ...OPTIONS, ...LIBRARY, file], { cwd: ROOT });
  const { stdout } = await run(process.execPath, ["--import", "fake-indexeddb/auto", file], { cwd: ROOT });
  expect(stdout).toBe(printed?.text);
});
