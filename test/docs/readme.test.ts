/**
 * Tests what a plain run of the README does not cover: a script that starts without a known position, a token, a Worker and commands. Tests
 * the links of all pages too.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type Block, blocksOf, Page } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { inShell, outputOf } from "../support/shell.ts";

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
  // What the settings do is tested with `npm start` itself: test/demo/demo.test.ts.
  expect(commands).toContain("npm start -- --var AUTH:jwt");
});

/** Of one that goes on until it is ended. */
async function firstLineOf(child: ReturnType<typeof inShell>, provoke: () => Promise<unknown>): Promise<string> {
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  try {
    await vi.waitFor(
      async () => {
        await provoke();
        expect(output).toContain("\n");
      },
      { timeout: 30_000, interval: 200 },
    );
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }
  return output.split("\n")[0] ?? "";
}

const append = (url: string) => connectStore({ url }).appendToStream(`Permit-${crypto.randomUUID()}`, [{ type: "Noted", data: {} }]);

test("from a terminal: each line as it stands there, with a part of the log", async () => {
  const lines =
    blocks
      .find(({ code }) => code.includes("headwater import"))
      ?.code.trimEnd()
      .split("\n") ?? [];
  // All 8,577 lines, imported twice, take most of a minute.
  const log = gunzipSync(await readFile(join(ROOT, "test/data/permits.ndjson.gz"))).toString();
  const part = `${page.folder}/part.ndjson.gz`;
  await writeFile(join(ROOT, part), gzipSync(`${log.split("\n").slice(0, 500).join("\n")}\n`));
  const own = (line: string) =>
    line
      .replaceAll("/v1/permits", "/v1/terminal")
      .replace(/(> |restore )permits/, `$1${page.folder}/permits`)
      .replace("test/data/permits.ndjson.gz", part);
  const [importing = "", verifying = "", exporting = "", restoring = "", reconciling = "", tailing = "", deleting = "", ...others] =
    lines.map(own);
  expect(others).toEqual([]);
  await outputOf(inShell(importing, edge.url));
  expect(await outputOf(inShell(verifying, edge.url))).toMatch(/^clean: 500 events/m);
  await outputOf(inShell(importing, edge.url));
  await outputOf(inShell(exporting, edge.url));
  expect((await readFile(join(ROOT, page.folder, "permits.ndjson"), "utf8")).trimEnd().split("\n")).toHaveLength(501);
  expect(await outputOf(inShell(restoring, edge.url))).toContain("500 events restored, 0 were there already");
  expect(await outputOf(inShell(reconciling, edge.url))).toContain("Nothing to repair: the log and");
  const line = await firstLineOf(inShell(tailing, edge.url), () => append(`${edge.url}/v1/terminal`));
  expect(JSON.parse(line)).toMatchObject({ type: "Noted" });
  expect(await outputOf(inShell(deleting, edge.url))).toContain("terminal-2 would lose 500 events in ");
});

test("a token that the command line signs lets it read", async () => {
  const [setting = "", starting = "", tailing = "", ...others] =
    blocks
      .find(({ code }) => code.includes("headwater token"))
      ?.code.trimEnd()
      .split("\n") ?? [];
  expect([starting, others]).toEqual(["npm start -- --var AUTH:jwt --var JWT_SECRET:$JWT_SECRET", []]);
  const [, secret = ""] = /^export JWT_SECRET=(\w+)$/.exec(setting) ?? [];
  const closed = await startEdge({ AUTH: "jwt", JWT_SECRET: secret });
  try {
    const url = `${closed.url}/v1/permits`;
    await expect(append(url)).rejects.toMatchObject({ code: "unauthenticated" });
    const claims = { headwater: [{ store: "*", streams: ["*"], can: ["append"] }] };
    const key = new TextEncoder().encode(secret);
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime("5m").sign(key);
    const writer = connectStore({ url, token: () => token });
    const line = await firstLineOf(inShell(tailing, closed.url, { JWT_SECRET: secret }), () =>
      writer.appendToStream(`Permit-${crypto.randomUUID()}`, [{ type: "Noted", data: {} }]),
    );
    expect(JSON.parse(line)).toMatchObject({ type: "Noted" });
  } finally {
    await closed.stop();
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
