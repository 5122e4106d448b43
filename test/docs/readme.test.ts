/** What of the README a run by itself does not show: a script whose position nobody knows, a token, a Worker, commands. And all pages' links. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Block, blocksOf, Page } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const blocks = blocksOf("README.md");
let edge: EdgeProcess;
let page: Page;

beforeAll(async () => {
  edge = await startEdge();
  page = await Page.write("README.md", edge.url, "readme");
});
afterAll(async () => {
  await edge.stop();
  await page.remove();
});

/** The one that says so, already checked by the compiler. */
async function compiled(what: string): Promise<Block> {
  const [block, ...others] = blocks.filter(({ code }) => code.includes(what));
  if (block === undefined || others.length > 0) throw new Error(`The README has no one block with ${what}.`);
  await page.check(block);
  return block;
}

test("a script talks to the edge over HTTP", async () => {
  expect(await page.outputOf(await compiled("connectStore("))).toMatch(/^Permit-2@1 #\d+\n$/);
});

test("a few lines sign a token", async () => {
  expect(await page.outputOf(await compiled("SignJWT"), { JWT_SECRET: "0123456789abcdef0123456789abcdef" })).toBe("3\n");
});

test("a Worker of one's own embeds the edge, and asks who is asking", async () => {
  const { name } = await compiled("createEdge(");
  const settings = await readFile(join(ROOT, "test/support/wrangler.toml"), "utf8");
  await writeFile(join(ROOT, page.folder, "wrangler.toml"), settings.replace("../../worker/main.ts", name));
  const own = await startEdge({}, `${page.folder}/wrangler.toml`);
  try {
    const append = async (store: string, headers: Record<string, string>) => {
      const body = JSON.stringify({ events: [{ type: "Noted", data: {} }] });
      return (await fetch(`${own.url}/v1/${store}/streams/Note-1`, { method: "POST", headers, body })).status;
    };
    expect(await append("permits", {})).toBe(401);
    expect(await append("permits", { "x-user": "ann" })).toBe(201);
    expect(await append("other", { "x-user": "ann" })).toBe(403);
  } finally {
    await own.stop();
  }
});

test("the commands are those that there are", async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const commands = blocks.flatMap(({ language, code }) => (language === "sh" ? [code] : [])).join("");
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
