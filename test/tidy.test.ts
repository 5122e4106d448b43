/** The house rules. Each is checked on a bad sample too: a rule that finds nothing must be able to find something. */
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
/**
 * Room → rooms of the same side that it may import values of, besides itself. A type may come from any room of the side: it is gone when the
 * code runs. `docs/architecture.md` says what each room is for.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  shared: ["shared/event"],
  "shared/event": ["shared"],
  "shared/wire": ["shared", "shared/event"],
  "shared/device": ["shared", "shared/event", "shared/wire"],
  "shared/edge": ["shared", "shared/event", "shared/wire"],
  "client/tools": [],
  "client/edge": ["client/tools"],
  "client/storage": ["client/tools"],
  "client/streams": ["client/storage", "client/tools"],
  "client/conflicts": ["client/storage", "client/tools"],
  "client/sync": ["client/edge", "client/storage", "client/tools"],
  "client/rows": ["client/storage", "client/streams", "client/sync", "client/tools"],
  "client/subscription": ["client/storage", "client/sync", "client/tools"],
  "client/testing": ["client"],
  client: [
    "client/conflicts",
    "client/edge",
    "client/rows",
    "client/storage",
    "client/streams",
    "client/subscription",
    "client/sync",
    "client/tools",
  ],
  "worker/report": [],
  "worker/objects": ["worker/report"],
  "worker/access": ["worker/objects", "worker/report"],
  "worker/stream": ["worker/objects", "worker/report"],
  "worker/log": ["worker/access", "worker/objects", "worker/report"],
  "worker/subscription": ["worker/log", "worker/objects", "worker/report"],
  "worker/routes": ["worker/access", "worker/log", "worker/objects", "worker/report", "worker/stream", "worker/subscription"],
  worker: ["worker/routes"],
};
/** Rooms of `shared/` that one side alone has a use for. */
const ONE_SIDED: Readonly<Record<string, readonly string[]>> = { "shared/device": ["client"], "shared/edge": ["worker", "cli"] };
/** The border of the first chunk, and who may load what is behind it. */
const BORDER = "client/later.ts";
const LOADS_LATER = ["client/store-parts.ts"];
/** Files of the first chunk: what they import at once is in it. */
const FIRST_CHUNK = "client/store.ts";
/** Folders below `shared`, `client`, `worker`, `test` and the like. */
const DEEPEST = 2;
/** Lines of a file at most. */
const LONGEST = 400;
/** Longer files, each for its reason. */
const LONG: Readonly<Record<string, string>> = {
  "shared/device/sync.ts": "one machine: its states, inputs and effects are read side by side",
  "test/simulation/bugs.ts": "one list: a deliberate bug each",
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
      .filter((target) => ![folder, ...allowed].includes(target.split("/")[0] ?? ""))
      .map((target) => `${path} imports ${target}`);
  });
}

/** Imports whose values are there when the code runs. */
function valueImportsOf(path: string, text: string): string[] {
  const found = [...text.matchAll(/^(?:import|export)\s+(?!type\b)([^;]*?from\s+)?"(\.[^"]+)"/gm)];
  const values = found.filter(([, names = ""]) => !/^\{[^}]*\}/.test(names) || /[{,]\s*(?!type\b)\w/.test(names));
  return values.map(([, , target]) => relative(ROOT, join(ROOT, dirname(path), target ?? "")));
}

function roomOf(path: string): string {
  return dirname(path);
}

function wrongRooms(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const room = roomOf(path);
    const side = room.split("/")[0] ?? "";
    if (!["shared", "client", "worker"].includes(side)) return [];
    const allowed = ROOMS[room];
    if (allowed === undefined) return [`${path} lies in no room`];
    const between = valueImportsOf(path, text)
      .map(roomOf)
      .filter((target) => target.split("/")[0] === side && target !== room && !allowed.includes(target));
    return between.map((target) => `${path} imports from ${target}`);
  });
}

function wrongSides(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const side = path.split("/")[0] ?? "";
    if (!["client", "worker", "cli"].includes(side)) return [];
    const foreign = importsOf(path, text).filter((target) => ONE_SIDED[roomOf(target)]?.includes(side) === false);
    return foreign.map((target) => `${path} imports ${target}`);
  });
}

/** What is behind the border and in the first chunk nevertheless, and who else loads it. */
function brokenBorder(files: ReadonlyMap<string, string>): string[] {
  const others = [...files].filter(([path]) => path.startsWith("client/") && path !== BORDER && !LOADS_LATER.includes(path));
  const loads = others.filter(([, text]) => /import\("[./]+\/later\.ts"\)/.test(text));
  const first = new Set<string>();
  const visit = (path: string) => {
    if (first.has(path)) return;
    first.add(path);
    for (const target of valueImportsOf(path, files.get(path) ?? "")) visit(target);
  };
  visit(FIRST_CHUNK);
  return [...loads.map(([path]) => `${path} loads ${BORDER}`), ...[...first].filter((path) => path === BORDER)];
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
  ]);
  expect(wrongImports(bad)).toHaveLength(3);
});

test("each file lies in a room, and rooms import one way", () => {
  expect(wrongRooms(sources())).toEqual([]);
  const bad = new Map([
    ["client/tools/x.ts", 'import { y } from "../storage/y.ts";'],
    ["client/edge/x.ts", 'import { type A, b } from "../sync/y.ts";'],
    ["worker/report/x.ts", 'export { y } from "../routes/y.ts";'],
    ["shared/x.ts", 'import "./device/y.ts";'],
    ["client/attic/x.ts", ""],
  ]);
  expect(wrongRooms(bad)).toHaveLength(5);
  const good = new Map([
    ["client/tools/x.ts", 'import type { Y } from "../storage/y.ts";'],
    ["client/edge/x.ts", 'import { type A, type B } from "../sync/y.ts";'],
    ["client/sync/x.ts", 'import { y } from "../storage/y.ts";'],
  ]);
  expect(wrongRooms(good)).toEqual([]);
});

test("the client has no use for the edge's room of shared/, nor the worker for the device's", () => {
  expect(wrongSides(sources())).toEqual([]);
  const bad = new Map([
    ["client/storage/x.ts", 'import type { Y } from "../../shared/edge/y.ts";'],
    ["worker/log/x.ts", 'import { y } from "../../shared/device/y.ts";'],
  ]);
  expect(wrongSides(bad)).toHaveLength(2);
});

test("what is loaded later is loaded in one place, and is not in the first chunk", () => {
  expect(brokenBorder(sources())).toEqual([]);
  const bad = new Map([
    ["client/store.ts", 'import { a } from "./tools/a.ts";'],
    ["client/tools/a.ts", 'import { b } from "../later.ts";\nvoid import("./later.ts");'],
  ]);
  expect(brokenBorder(bad)).toEqual(["client/tools/a.ts loads client/later.ts", "client/later.ts"]);
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
