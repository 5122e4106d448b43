/** Type-checks the example of docs/react.md exactly as it is there. A browser test checks what the hooks do. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Within the package, so that `headwater` names what was built of it. */
const FOLDER = "test-results/react";

beforeAll(() => mkdir(join(ROOT, FOLDER), { recursive: true }));
afterAll(() => rm(join(ROOT, FOLDER), { recursive: true, force: true }));

/** @throws with what the compiler says */
async function compile(name: string, code: string): Promise<void> {
  await writeFile(join(ROOT, FOLDER, name), code);
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  const given = ["--jsx", "react-jsx", "--lib", "es2024,dom,dom.iterable,dom.asynciterable", "--types", ""];
  const tsc = ["node_modules/typescript/bin/tsc", "--ignoreConfig", ...options, ...given, join(FOLDER, name)];
  await promisify(execFile)(process.execPath, tsc, { cwd: ROOT });
}

test("the page's example compiles, and one that asks for a field that is not there does not", async () => {
  const [, code = ""] = /```tsx\n([\s\S]*?)```/.exec(await readFile(join(ROOT, "docs/react.md"), "utf8")) ?? [];
  expect(code).toContain("useStreamState");
  await compile("shelf.tsx", code);
  const wrong = compile("wrong.tsx", code.replace('index: "holder"', 'index: "nothing"'));
  await expect(wrong).rejects.toMatchObject({ stdout: expect.stringContaining("nothing") });
});
