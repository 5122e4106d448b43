/** The files, functions and rooms that docs/architecture.md and CONTRIBUTING.md name exist. Each check is also run on a bad sample. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { rowsOf } from "../support/document.ts";
import { declaredIn, identifiersOf, importsOf } from "../support/syntax.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = "docs/architecture.md";
const SIDES = ["shared", "client", "worker"];

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const page = read(PAGE);
const sources: ReadonlyMap<string, string> = new Map(
  [...SIDES, "test"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"))
      .map((path) => [join(folder, path), read(join(folder, path))]),
  ),
);
const shipped = new Map([...sources].filter(([path]) => !path.startsWith("test/")));

/** Text between two headings of the second level. */
function sectionOf(text: string, heading: string): string {
  const [, section] = text.split(`\n## ${heading}\n`);
  if (section === undefined) throw new Error(`The page has no section "${heading}".`);
  return section.split("\n## ")[0] ?? "";
}

const FILE = /^(?:[\w.-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:tsx?|mjs|md|json|toml)$/;
const FOLDER = /^(?:[\w-]+\/)+$/;
const TOPS = /^(?:shared|client|worker|cli|demo|test|bench|docs|scripts)\//;

function isPath(span: string): boolean {
  return FILE.test(span) || FOLDER.test(span) || (TOPS.test(span) && !span.includes(" "));
}

function spansOf(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

/** A path may be short behind a longer one of the same paragraph or row: `shared/device/outbox.ts`, `push.ts`. */
function resolved(span: string, folders: Iterable<string>): string | undefined {
  return ["", ...folders].map((folder) => join(folder, span)).find((path) => existsSync(join(ROOT, path)));
}

/** Paths in code spans, and in drawings, that lead nowhere. */
function missingPaths(text: string): string[] {
  const [prose, drawings] = parted(text);
  const drawn = drawings.flatMap((drawing) => drawing.match(/\b(?:shared|client|worker)\/[\w./-]*/g) ?? []);
  const missing = drawn.filter((path) => !existsSync(join(ROOT, path)));
  for (const block of prose.split(/\n\n|\n(?=\|)/)) {
    const folders = new Set<string>();
    for (const span of spansOf(block).filter(isPath)) {
      const path = resolved(span, folders);
      if (path === undefined) missing.push(span);
      else for (const folder of [span.endsWith("/") ? path : dirname(path), dirname(path)]) folders.add(folder);
    }
  }
  return missing;
}

/** Text without its blocks of code, and the blocks that have no language. */
function parted(text: string): [prose: string, drawings: string[]] {
  const parts = text.split(/^```/m);
  const isDrawing = (part: string, i: number) => i % 2 === 1 && part.startsWith("\n");
  return [parts.filter((_, i) => i % 2 === 0).join("\n"), parts.filter(isDrawing)];
}

interface Named {
  readonly path: string;
  readonly names: readonly string[];
}

/** Names with their file behind them: `nextPush`, `judgePush` (`shared/device/push.ts`). */
function namedIn(text: string): Named[] {
  const named = text.matchAll(/((?:`[^`]+`(?:,|\s+and)?\s+)+)\(`([^`]+)`\)/g);
  return [...named].map(([, names = "", path = ""]) => ({ path, names: spansOf(names) })).filter(({ path }) => isPath(path));
}

function missingNames(text: string): string[] {
  return namedIn(text).flatMap(({ path, names }) => {
    const source = sources.get(path);
    if (source === undefined) return [`${path} is not there`];
    const declared = declaredIn(source);
    return names.filter((name) => !declared.has(name)).map((name) => `${path} does not declare ${name}`);
  });
}

/** Functions of a decision that the callers of its row do not name, and callers that name none of them. */
function uncalled(table: readonly string[][]): string[] {
  return table.flatMap(([, rule = "", ...callers]) => {
    const functions = namedIn(rule).flatMap(({ names }) => names);
    const files = namedIn(callers.join(" ")).map(({ path }) => [path, identifiersOf(sources.get(path) ?? "")] as const);
    return [
      ...functions.filter((name) => !files.some(([, used]) => used.has(name))).map((name) => `${name} is called by none of its row`),
      ...files.filter(([, used]) => !functions.some((name) => used.has(name))).map(([path]) => `${path} calls nothing of its row`),
    ];
  });
}

function roomOf(path: string): string {
  return `${path.split("/").slice(0, -1).slice(0, 2).join("/")}/`;
}

/** Imports of values from a room that the table does not list, and rooms that it lacks. */
function wrongRooms(table: readonly string[][], files: ReadonlyMap<string, string>): string[] {
  const allowed = new Map(
    table.map(([room = "", , others = ""]) => {
      const [name = ""] = spansOf(room);
      const side = name.split("/")[0] ?? "";
      return [name, [name, ...spansOf(others).map((other) => (SIDES.includes(other.slice(0, -1)) ? other : `${side}/${other}`))]];
    }),
  );
  return [...files].flatMap(([path, text]) => {
    const from = roomOf(path);
    const rooms = allowed.get(from);
    if (rooms === undefined) return [`${from} is no room of the page`];
    const side = path.split("/")[0] ?? "";
    const { values, later } = importsOf(path, text);
    const within = [...values, ...later].filter((target) => target.startsWith(`${side}/`) && !rooms.includes(roomOf(target)));
    return within.map((target) => `${path} imports ${target}`);
  });
}

/** The files whose values are loaded with a file. */
function loadedWith(path: string, files: ReadonlyMap<string, string>, seen = new Set<string>()): Set<string> {
  const text = files.get(path);
  if (text === undefined || seen.has(path)) return seen;
  seen.add(path);
  for (const target of importsOf(path, text).values) loadedWith(target, files, seen);
  return seen;
}

/** What of the table of the chunk border is not so. */
function wrongBorder(table: readonly string[][], files: ReadonlyMap<string, string>): string[] {
  const first = loadedWith("client/index.ts", files);
  const told = new Set(table.map(([chunk = "", from = ""]) => `${spansOf(from)[0]} imports ${spansOf(chunk)[0]}`));
  const imports = [...first].flatMap((path) => importsOf(path, files.get(path) ?? "").later.map((target) => `${path} imports ${target}`));
  const wrong = [...told].filter((one) => !imports.includes(one)).map((one) => `no longer: ${one}`);
  wrong.push(...imports.filter((one) => !told.has(one)));
  for (const [chunk = "", , cell = ""] of table) {
    const [behind = "", exceptions = ""] = cell.split("; not ");
    const [entry = ""] = spansOf(chunk);
    const listed = [entry, ...spansOf(behind)];
    const isListed = (path: string) => listed.some((one) => path === one || (one.endsWith("/") && path.startsWith(one)));
    const isTool = (path: string) => path.startsWith("client/tools/") || !path.startsWith("client/");
    for (const path of loadedWith(entry, files)) {
      if (!first.has(path) && !isTool(path) && !isListed(path)) wrong.push(`${path} is behind ${entry}`);
    }
    for (const path of first) if (isListed(path) && !spansOf(exceptions).includes(path)) wrong.push(`${path} is in the first chunk`);
    for (const path of spansOf(exceptions)) if (!first.has(path)) wrong.push(`${path} is not in the first chunk`);
  }
  return wrong;
}

/** The numbers of invariants that a file's comments name. Those with letters alone are the file's own. */
function citedBy(text: string): number[] {
  const lists = [...text.matchAll(/ \* Invariants\b.*\n((?: \* (?! *$).*\n)+)/g)].flatMap(([, list = ""]) => [
    ...list.matchAll(/^ \*\s+(\d+)[a-z]?\.\s/gm),
  ]);
  const inText = text.matchAll(/\b[Ii]nvariants? \(?(\d+)(?:(?:, \d+)*(?: and| or) (\d+))?/g);
  const checkers = text.matchAll(/readonly name = "(\d+) /g);
  return [...lists, ...inText, ...checkers].flatMap(([, ...numbers]) => numbers.filter((number) => number !== undefined).map(Number));
}

function promised(section: string): number[] {
  return [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
}

function unknownInvariants(files: ReadonlyMap<string, string>, known: readonly number[]): string[] {
  return [...files].flatMap(([path, text]) =>
    citedBy(text)
      .filter((number) => !known.includes(number))
      .map((number) => `${path} cites invariant ${number}`),
  );
}

describe.each([PAGE, "CONTRIBUTING.md"])("%s", (path) => {
  test("each file and folder is there", () => {
    expect(spansOf(parted(read(path))[0]).filter(isPath).length).toBeGreaterThan(30);
    expect(missingPaths(read(path))).toEqual([]);
  });

  test("each function and class is declared in the file behind it", () => {
    expect(missingNames(read(path))).toEqual([]);
  });
});

test("a file that is not there is found, in prose, in a row and in a drawing", () => {
  const bad = [
    "See `shared/append.ts`, `order.ts` and `nowhere.ts`.",
    "| `client/sync/` | `tabs.ts` | `gone/` |\n| a | `tabs.ts` |",
    "```\nclient/storage/ ── client/later.js\n```",
    "```sh\nnpx vitest test/anything\n```",
    "`npm test`, `/openapi.json` and `headwater/edge` are no paths; `test/none` is.",
  ].join("\n\n");
  expect(missingPaths(bad)).toEqual(["client/later.js", "nowhere.ts", "gone/", "tabs.ts", "test/none"]);
});

test("a function that its file does not declare is found", () => {
  expect(namedIn(page).length).toBeGreaterThan(60);
  const bad =
    "`decideAppend`, `nothing` (`shared/append.ts`), `Store.nothing` and\n`Store.sync` (`client/store.ts`), `x` (`shared/x.ts`); `toVersion` (`shared/append.ts`)";
  expect(missingNames(bad)).toEqual([
    "shared/append.ts does not declare nothing",
    "client/store.ts does not declare Store.nothing",
    "shared/x.ts is not there",
    "shared/append.ts does not declare toVersion",
  ]);
});

test("each decision is called by the files of its row", () => {
  const table = rowsOf(sectionOf(page, "Where each decision is taken"));
  expect(table.length).toBeGreaterThan(15);
  expect(uncalled(table)).toEqual([]);
  const bad = [
    "x",
    "`decideAppend`, `decidePage` (`a.ts`)",
    "`Appender` (`client/storage/appender.ts`)",
    "`push` (`worker/routes/push.ts`)",
  ];
  expect(uncalled([bad])).toEqual(["decidePage is called by none of its row", "worker/routes/push.ts calls nothing of its row"]);
});

test("rooms import what the page allows", () => {
  const table = rowsOf(sectionOf(page, "The rooms"));
  expect(table.length).toBeGreaterThan(20);
  expect(wrongRooms(table, shipped)).toEqual([]);
  const bad = new Map([
    [
      "client/tools/x.ts",
      'import type { A } from "../store.ts";\nimport { type B } from "../store.ts";\nimport { c } from "../../shared/c.ts";',
    ],
    ["client/tools/y.ts", 'import { type A, b } from "../store.ts";'],
    ["worker/log/z.ts", 'export { z } from "../stream/z.ts";'],
    ["shared/cellar/w.ts", ""],
  ]);
  expect(wrongRooms(table, bad)).toEqual([
    "client/tools/y.ts imports client/store.ts",
    "worker/log/z.ts imports worker/stream/z.ts",
    "shared/cellar/ is no room of the page",
  ]);
});

test("the chunk border is where the page says", () => {
  const table = rowsOf(sectionOf(page, "The chunk border"));
  expect(table).toHaveLength(2);
  expect(wrongBorder(table, shipped)).toEqual([]);
  const bad = new Map([...shipped, ["client/store.ts", `${shipped.get("client/store.ts")}\nimport { x } from "./rows/projector.ts";`]]);
  expect(wrongBorder(table, bad)).toContain("client/rows/projector.ts is in the first chunk");
  expect(wrongBorder([["`client/later.ts`", "`client/store.ts`", "`client/rows/`; not `client/rows/table.ts`"]], shipped)).toEqual(
    expect.arrayContaining([
      "no longer: client/store.ts imports client/later.ts",
      "client/store-parts.ts imports client/later.ts",
      "client/streams/handle.ts is behind client/later.ts",
      "client/rows/table.ts is not in the first chunk",
    ]),
  );
});

test("each invariant that a file cites is on the page", () => {
  const known = promised(sectionOf(page, "The invariants"));
  expect(known).toEqual(Array.from(known, (_, i) => i + 1));
  // The bad samples below are this file's.
  const others = new Map([...sources].filter(([path]) => !path.startsWith("test/docs/")));
  expect(new Set([...others.values()].flatMap(citedBy)).size).toBeGreaterThan(8);
  expect(unknownInvariants(others, known)).toEqual([]);
  const bad = [
    "/**\n * Invariants (numbers of docs/architecture.md):\n *  2. one;\n * 77. two,\n *     on two lines;\n *  B. its own.\n *\n * 5. No invariant.\n */",
    "/** Invariants (1 and 78 of docs/architecture.md): see below (invariant 79). */",
  ];
  expect(bad.map(citedBy)).toEqual([
    [2, 77],
    [1, 78, 79],
  ]);
  expect(unknownInvariants(new Map([["x.ts", bad[0] ?? ""]]), known)).toEqual(["x.ts cites invariant 77"]);
});
