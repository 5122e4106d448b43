/** The house rules. Each is checked on a bad sample too: a rule that finds nothing must be able to find something. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["shared", "client", "worker", "cli", "demo", "test", "bench"];
/** Folder → folders that it may import from, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  client: ["shared"],
  worker: ["shared"],
  cli: ["client", "shared"],
  demo: ["client"],
};
/** What a pure function has no use for. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|crypto\b|performance\b|setTimeout|setInterval|Promise\b|async\b|await\b|fetch\(|document\b|window\b|indexedDB|console\b)/;
const ENTRIES = [
  "client/index.ts",
  "client/http.ts",
  "client/react.ts",
  "client/testing/index.ts",
  "worker/index.ts",
  "worker/main.ts",
  "cli/main.ts",
];

function sources(): Map<string, string> {
  const paths = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  const wanted = paths.filter((path) => path.endsWith(".ts") && !path.includes("node_modules") && !path.includes("dist/"));
  return new Map(wanted.map((path) => [path, readFileSync(join(ROOT, path), "utf8")]));
}

function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s+"(\.[^"]+)"/g)].map(([, target]) => relative(ROOT, join(ROOT, dirname(path), target ?? "")));
}

function wrongImports(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const folder = path.split("/")[0] ?? "";
    const allowed = MAY_IMPORT[folder];
    if (allowed === undefined) return [];
    return importsOf(path, text)
      .filter((target) => ![folder, ...allowed].includes(target.split("/")[0] ?? ""))
      .map((target) => `${path} imports ${target}`);
  });
}

function impurities(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([path]) => path.startsWith("shared/"))
    .flatMap(([path, text]) => {
      const code = text
        .replaceAll(/\/\*[\s\S]*?\*\//g, "")
        .replaceAll(/\/\/.*$/gm, "")
        .replaceAll(/"(?:[^"\\\n]|\\.)*"|`[^`$]*`/g, '""');
      const found = IMPURE.exec(code);
      return found === null ? [] : [`${path} uses ${found[1]}`];
    });
}

function orphans(files: ReadonlyMap<string, string>): string[] {
  const imported = new Set([...files].flatMap(([path, text]) => importsOf(path, text)));
  return [...files.keys()].filter((path) => /^(shared|client|worker|cli)\//.test(path) && !imported.has(path) && !ENTRIES.includes(path));
}

test("imports run one way: client → shared ← worker", () => {
  expect(wrongImports(sources())).toEqual([]);
  const bad = new Map([
    ["client/x.ts", 'import { y } from "../worker/y.ts";'],
    ["shared/x.ts", 'export { y } from "../client/y.ts";'],
    ["worker/x.ts", 'import "../client/y.ts";'],
  ]);
  expect(wrongImports(bad)).toHaveLength(3);
});

test("shared/ has no clock, no randomness, no promise and no runtime", () => {
  expect(impurities(sources())).toEqual([]);
  for (const sample of [
    "Date.now()",
    "new Date()",
    "Math.random()",
    "crypto.randomUUID()",
    "await x",
    "new Promise(f)",
    "console.log(1)",
  ]) {
    expect(impurities(new Map([["shared/x.ts", `const x = ${sample};`]]))).toHaveLength(1);
  }
  expect(impurities(new Map([["shared/x.ts", 'const fine = "a Promise"; // await new Date()']]))).toEqual([]);
});

test("every file is imported by somebody", () => {
  expect(orphans(sources())).toEqual([]);
  expect(orphans(new Map([["client/lonely.ts", ""]]))).toEqual(["client/lonely.ts"]);
});

test("the lock file names no registry", () => {
  expect(readFileSync(join(ROOT, "package-lock.json"), "utf8")).not.toContain('"resolved": "http');
});
