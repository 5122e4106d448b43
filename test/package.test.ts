/** The package as it would be published, used as an app uses it: packed, installed into an empty folder, bundled, type-checked. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CONSUMER = `import { openStore, VersionConflictError, type Store } from "headwater";
import { connectStore } from "headwater/http";

export async function use(): Promise<number> {
  const store: Store = await openStore({ name: "permits", sync: { url: "https://edge.example/v1/permits", token: () => "t" } });
  try {
    const { version } = await store.appendToStream("Permit-1", [{ type: "Requested", data: { channel: "web" } }], { expectedVersion: "no-stream" });
    for await (const event of connectStore({ url: "https://edge.example/v1/permits" }).readAll({ category: "Permit" })) console.log(event.position);
    return version;
  } catch (error) {
    return error instanceof VersionConflictError ? error.actualVersion : 0;
  }
}
void use();
`;
const WORKER = `import { createEdge } from "headwater/edge";
import { defineEventTypes } from "headwater/event-types";
const eventTypes = defineEventTypes({ Requested: { version: 2, upcast: { 1: (data: { via: string }) => ({ channel: data.via }) } } });
const edge = createEdge({ eventTypes, authenticate: () => ({ actor: "me", grants: [{ store: "*", streams: ["*"], can: ["read"] }] }) });
export const { LogObject, StreamObject } = edge;
export default edge;
`;
const REACT = `import type { Decider, Store } from "headwater";
import { useStreamState } from "headwater/react";
const notes: Decider<number, null> = { name: "notes", version: 1, initialState: 0, evolve: (count) => count + 1, decide: () => [] };
export function useCount(store: Store): number {
  return useStreamState(store, "Note-1", notes).state;
}
`;

let folder: string;
let installed: { readonly stdout: string; readonly stderr: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwater-package-"));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: ROOT });
  expect(stdout).toContain(".tgz");
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  await writeFile(join(folder, "package.json"), '{"name":"consumer","private":true,"type":"module"}');
  installed = await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`], { cwd: folder });
  await writeFile(join(folder, "consumer.ts"), CONSUMER);
  await writeFile(join(folder, "worker.ts"), WORKER);
}, 180_000);

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test("it holds what it needs and nothing else", async () => {
  const installed = await readdir(join(folder, "node_modules/headwater"));
  expect(installed.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"]);
});

test("it is installed without a warning: it has no script that npm would run on an app's machine", async () => {
  expect(installed.stderr).not.toMatch(/warn/i);
  const { scripts } = JSON.parse(await readFile(join(folder, "node_modules/headwater/package.json"), "utf8"));
  expect(Object.keys(scripts)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(pre|post)?(install|prepare)$/)]));
});

test("each of its entries is there, with its types", async () => {
  const { exports } = JSON.parse(await readFile(join(folder, "node_modules/headwater/package.json"), "utf8"));
  const code = Object.keys(exports).map((entry) => `import(${JSON.stringify(entry.replace(".", "headwater"))})`);
  // A Worker's entry asks for the platform's own module, the hooks for the app's React: both are compiled below.
  const loaded = code.filter((text) => !/headwater\/(edge|react)/.test(text));
  expect(loaded.length).toBeGreaterThan(3);
  await writeFile(join(folder, "entries.mjs"), `await Promise.all([${loaded.join(", ")}]);\nconsole.log("loaded");\n`);
  const { stdout } = await run(process.execPath, ["entries.mjs"], { cwd: folder });
  expect(stdout).toBe("loaded\n");
  for (const { types } of Object.values<{ types: string }>(exports)) await access(join(folder, "node_modules/headwater", types));
});

test("it is bundled for the browser by esbuild", async () => {
  const { outputFiles, warnings } = await esbuild({
    absWorkingDir: folder,
    entryPoints: ["consumer.ts"],
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  expect(warnings).toEqual([]);
  expect(outputFiles[0]?.text).toContain("indexedDB");
  // The bundler has said whether this is development.
  expect(outputFiles[0]?.text).not.toContain("process.env");
});

test("it is bundled for the browser by Vite", async () => {
  await writeFile(join(folder, "index.html"), '<!doctype html><script type="module" src="/consumer.ts"></script>');
  await vite({ root: folder, logLevel: "error", build: { outDir: "site" } });
  const assets = (await readdir(join(folder, "site/assets"))).filter((name) => name.endsWith(".js"));
  const texts = await Promise.all(assets.map((name) => readFile(join(folder, "site/assets", name), "utf8")));
  const [entry, ...others] = texts.filter((text) => text.includes("appendToStream"));
  expect([entry === undefined, others]).toEqual([false, []]);
  expect(texts.join()).not.toContain("NODE_ENV");
  // The live connection is a file of its own, loaded when it is needed.
  const live = texts.find((text) => text.includes("headwater.v1"));
  expect(live).toBeDefined();
  expect(live).not.toBe(entry);
});

test("a consumer's types are checked against it", async () => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  const check = (file: string, lib: string, types: string[]) =>
    run(process.execPath, [tsc, ...options, "--lib", lib, ...types, file], { cwd: folder });
  await check("consumer.ts", "es2024,dom,dom.iterable,dom.asynciterable", ["--types", ""]);
  await check("worker.ts", "es2024,esnext.disposable", ["--typeRoots", join(ROOT, "node_modules/@cloudflare"), "--types", "workers-types"]);
  await writeFile(join(folder, "wrong.ts"), 'import { openStore } from "headwater";\nvoid openStore({ nam: "x" });\n');
  await expect(check("wrong.ts", "es2024,dom", ["--types", ""])).rejects.toMatchObject({ stdout: expect.stringContaining("'nam'") });
});

test("its hooks use the app's React, and are typed for it", async () => {
  // It has to come with the app: the package alone brings none.
  expect(await readdir(join(folder, "node_modules"))).not.toContain("react");
  await mkdir(join(folder, "app/node_modules/@types"), { recursive: true });
  for (const name of ["react", "@types/react", "csstype"])
    await symlink(join(ROOT, "node_modules", name), join(folder, "app/node_modules", name));
  await writeFile(join(folder, "app/react.ts"), REACT);
  const options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  const tsc = [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    ...options,
    "--lib",
    "es2024,dom,dom.iterable,dom.asynciterable",
    "--types",
    "",
  ];
  await run(process.execPath, [...tsc, "react.ts"], { cwd: join(folder, "app") });
  const { outputFiles } = await esbuild({
    absWorkingDir: join(folder, "app"),
    entryPoints: ["react.ts"],
    bundle: true,
    format: "esm",
    platform: "browser",
    external: ["react"],
    write: false,
  });
  // The hooks are thin: a store comes with `headwater`, not with them.
  expect(outputFiles[0]?.text).toContain("useSyncExternalStore");
  expect(outputFiles[0]?.text).not.toContain("indexedDB");
});

test("given, when and then need nothing else, and the store in memory says what it needs", async () => {
  const code = `import { given, openMemoryStore } from "headwater/testing";
const noted = { type: "Noted", data: {} };
given({ name: "notes", version: 1, initialState: null, evolve: () => null, decide: () => noted }).when({}).then(noted);
console.log(await openMemoryStore().catch((error) => error.message));
`;
  await writeFile(join(folder, "testing.mjs"), code);
  const { stdout } = await run(process.execPath, ["testing.mjs"], { cwd: folder });
  expect(stdout).toBe("openMemoryStore needs fake-indexeddb. Install it: npm install --save-dev fake-indexeddb\n");
});

test("its command line runs", async () => {
  const { stdout } = await run(process.execPath, [join(folder, "node_modules/.bin/headwater"), "--help"], { cwd: folder });
  expect(stdout).toContain("import");
});
