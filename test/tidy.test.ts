/**
 * The house rules. Each rule is also run on a bad sample, to prove that it can find something. `docs/architecture.md` says which room may
 * import which, that each file is in a room, and what the border of the first chunk is. `test/docs/architecture.test.ts` checks the code
 * against that page.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ENTRIES as PUBLIC } from "../scripts/entries.mjs";

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
/** What one folder may import of another one beyond that. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  // An edge in memory: the stand-in for the platform has no types of either side's platform.
  "client/testing": "worker/testing",
};
/** Rooms of `shared/` that one side alone has a use for. */
const ONE_SIDED: Readonly<Record<string, readonly string[]>> = { "shared/device": ["client"], "shared/edge": ["worker", "cli"] };
/** Folders below `shared`, `client`, `worker`, `test` and the like. */
const DEEPEST = 2;
/** Lines of a file at most. */
const LONGEST = 400;
/** Longer files, each for its reason. */
const LONG: Readonly<Record<string, string>> = {
  "shared/device/sync.ts": "one machine: its states, inputs and effects are read side by side",
};
/** What a pure function has no use for. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|crypto\b|performance\b|setTimeout|setInterval|Promise\b|async\b|await\b|fetch\(|document\b|window\b|indexedDB|console\b)/;
/** What nobody in the project need import: what the package makes public, and the Worker of its own deployment. */
const ENTRIES = [...PUBLIC, "worker/main.ts"];

function sources(): Map<string, string> {
  const paths = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  const wanted = paths.filter((path) => path.endsWith(".ts") && !/node_modules|dist\/|\.wrangler/.test(path));
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
      .filter((target) => ![folder, ...allowed].includes(target.split("/")[0] ?? "") && EXCEPTIONS[roomOf(path)] !== roomOf(target))
      .map((target) => `${path} imports ${target}`);
  });
}

function roomOf(path: string): string {
  return dirname(path);
}

function wrongSides(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const side = path.split("/")[0] ?? "";
    if (!["client", "worker", "cli"].includes(side)) return [];
    const foreign = importsOf(path, text).filter((target) => ONE_SIDED[roomOf(target)]?.includes(side) === false);
    return foreign.map((target) => `${path} imports ${target}`);
  });
}

function tooDeep(paths: Iterable<string>): string[] {
  return [...paths].filter((path) => path.split("/").length - 2 > DEEPEST);
}

function tooLong(files: ReadonlyMap<string, string>): string[] {
  const lines = (text: string) => text.split("\n").length - 1;
  return [...files].filter(([path, text]) => lines(text) > LONGEST && LONG[path] === undefined).map(([path]) => path);
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
    ["client/testing/x.ts", 'import { y } from "../../worker/routes/y.ts";'],
  ]);
  expect(wrongImports(bad)).toHaveLength(4);
});

test("the client has no use for the edge's room of shared/, nor the worker for the device's", () => {
  expect(wrongSides(sources())).toEqual([]);
  const bad = new Map([
    ["client/storage/x.ts", 'import type { Y } from "../../shared/edge/y.ts";'],
    ["worker/log/x.ts", 'import { y } from "../../shared/device/y.ts";'],
  ]);
  expect(wrongSides(bad)).toHaveLength(2);
});

test("no folder is deeper than two, and no file longer than 400 lines but for a reason", () => {
  expect(tooDeep(sources().keys())).toEqual([]);
  expect(tooDeep(["client/a/b/c/d.ts"])).toHaveLength(1);
  expect(tooLong(sources())).toEqual([]);
  expect(tooLong(new Map([["client/x.ts", "\n".repeat(401)]]))).toEqual(["client/x.ts"]);
  for (const path of Object.keys(LONG)) expect(tooLong(new Map([["x.ts", sources().get(path) ?? ""]])), path).toEqual(["x.ts"]);
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

/** What the command line prints besides `cli/output.ts`, which makes it visible. */
function prints(files: ReadonlyMap<string, string>): string[] {
  const own = [...files].filter(([path]) => path.startsWith("cli/") && path !== "cli/output.ts");
  return own.flatMap(([path, text]) =>
    (text.match(/\bconsole\b.*|\bstd(?:out|err)\.write\(.*/g) ?? []).map((found) => `${path}: ${found}`),
  );
}

test("the command line prints by cli/output.ts alone", () => {
  const visible = /stdout\.write\(jsonLine\(|stderr\.write\(visibleLines\(/;
  expect(prints(sources()).filter((found) => !visible.test(found))).toEqual([]);
  expect(prints(new Map([["cli/x.ts", "console.log(1);\nprocess.stderr.write(text);"]]))).toHaveLength(2);
});
