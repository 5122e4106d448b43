/**
 * Compiles and runs the code of the documents exactly as it is there, and compares its output with the output block below it. Every new
 * block is run too. Blocks that can't be run like this have a test elsewhere, and are listed here.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blocksOf, isWorker, Page, pagePaths } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";

/** Blocks by their pages, and the test that runs them. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "README.md": {
    "ts-3.ts": "readme.test.ts",
    "ts-4.ts": "readme.test.ts",
    "ts-5.ts": "readme.test.ts",
    "sh-1.sh": "readme.test.ts",
    "sh-2.sh": "readme.test.ts",
    "sh-3.sh": "readme.test.ts",
  },
  "docs/schemas.md": {
    "event-types.ts": "schemas.test.ts",
    "worker.ts": "schemas.test.ts",
    "script.ts": "schemas.test.ts",
    "samples.ts": "schemas.test.ts",
  },
  "docs/subscriptions.md": {
    "ts-1.ts": "subscriptions.test.ts",
    "toml-1.toml": "subscriptions.test.ts",
    "json-1.json": "json.test.ts",
  },
  "docs/access.md": { "json-1.json": "json.test.ts" },
  "docs/operations.md": {
    "json-1.json": "../worker/report/journal.test.ts",
    "nginx-1.nginx": "../faults/nginx.test.ts",
    "sh-1.sh": "operations.test.ts",
    "sh-2.sh": "operations.test.ts",
    "sh-3.sh": "operations.test.ts",
    "sh-4.sh": "operations.test.ts",
  },
  "docs/single-file.md": { "html-1.html": "../faults/single.test.ts" },
  "docs/react.md": { "shelf.tsx": "react.test.ts" },
};

let edge: EdgeProcess;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());

const here = pagePaths()
  .map((path) => ({ path, blocks: blocksOf(path).filter(({ name }) => ELSEWHERE[path]?.[name] === undefined) }))
  .filter(({ blocks }) => blocks.length > 0);

describe.each(here)("$path", ({ path, blocks }) => {
  let page: Page;
  beforeAll(async () => {
    page = await Page.write(path, edge.url);
  });
  afterAll(() => page.remove());

  test.each(blocks)("$name", async (block) => {
    expect(block.language, "nothing runs this language: make it no code, or bring it into a test").toBe("ts");
    expect(isWorker(block), "an edge of the page's own needs a test of the page's own").toBe(false);
    await page.check(block);
    expect(await page.outputOf(block)).toBe(block.output);
  });
});

test("what is tested elsewhere is there, each block by a name of its own", () => {
  for (const [path, blocks] of Object.entries(ELSEWHERE)) {
    expect(blocksOf(path).map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(blocks)));
    for (const file of Object.values(blocks)) expect(existsSync(join(import.meta.dirname, file)), file).toBe(true);
  }
  for (const path of pagePaths()) {
    const names = blocksOf(path).map(({ name }) => name);
    expect(new Set(names).size, path).toBe(names.length);
  }
});
