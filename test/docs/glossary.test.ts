/**
 * No identifier of the code has a word that the column "not" of docs/glossary.md rules out. Comments and strings are not checked, because
 * stored keys and wire fields keep their old words. A word that also has another meaning can't be checked, and is listed here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { rowsOf } from "../support/document.ts";
import { identifiersOf } from "../support/syntax.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OLD_RECORDS = "reads what an earlier version stored under this name";

/** Words of the column "not", with the identifiers that may have them, and why. */
const RULED_OUT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tenant: {},
  entity: {},
  revision: {},
  sequence: {},
  offset: {},
  "global version": {},
  optimistic: {},
  committed: {},
  queue: { queueMicrotask: "a function of the platform" },
  bundle: {},
  "set aside": { setAside: OLD_RECORDS },
  history: {
    stoppedByOtherHistory: "a log that was restored or replaced, as the glossary says",
    lostHistory: "the events that a log once had",
  },
  "live connection": {},
  "live feed": {},
  fill: { fills: OLD_RECORDS },
  migration: {},
  reducer: {},
  view: { DataView: "the language's own name" },
  "read model": {},
  observable: {},
};

/** Words of the column "not" that mean something else in the code. Words that are terms of the glossary themselves are not listed. */
const IN_OTHER_USE: Readonly<Record<string, string>> = {
  database: "IndexedDB's",
  document: "the web page's, or an error's problem document",
  batch: "the commits of one push, or the events that a handler gets at once",
  transaction: "a database's",
  failed: "of a request, a call or a handler",
  live: "of a live value; see the last test",
  filter: "of a feed or a subscription",
  request: "an HTTP request, or the machine's number of one",
  action: "what a grant allows",
  rebase: "puts a commit behind others' events as it is",
};

const rows = rowsOf(readFileSync(join(ROOT, "docs/glossary.md"), "utf8"));
const terms = new Set(rows.map(([term = ""]) => term).flatMap((term) => [term, ...term.split(" / ")]));
const notWords = new Set(rows.flatMap(([, , not = ""]) => not.replaceAll(/ \(.*?\)/g, "").split(", ")).filter((word) => word !== ""));

function sourcesOf(...folders: readonly string[]): Map<string, string> {
  const paths = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  return new Map(paths.filter((path) => path.endsWith(".ts")).map((path) => [path, readFileSync(join(ROOT, path), "utf8")]));
}

/** `LARGEST_BATCH` and `largestBatch` are both `largest batch`. */
function wordsOf(identifier: string): string {
  const parts = identifier.replaceAll(/([a-z\d])(?=[A-Z])|([A-Z])(?=[A-Z][a-z])/g, "$1$2 ").split(/[\s_$]+/);
  return parts
    .filter((part) => part !== "")
    .join(" ")
    .toLowerCase();
}

function has(identifier: string, word: string): boolean {
  return new RegExp(`\\b${word.replace(/y$/, "(?:y|ies)").replace(/([^)])$/, "$1s?")}\\b`).test(wordsOf(identifier));
}

/** Identifiers with a word, each with its file. */
function uses(word: string, files: ReadonlyMap<string, string>): (readonly [path: string, identifier: string])[] {
  return [...files].flatMap(([path, text]) =>
    [...identifiersOf(text)].filter((name) => has(name, word)).map((name) => [path, name] as const),
  );
}

function wrongWords(files: ReadonlyMap<string, string>): string[] {
  return Object.entries(RULED_OUT).flatMap(([word, allowed]) =>
    uses(word, files)
      .filter(([, name]) => !Object.hasOwn(allowed, name))
      .map(([path, name]) => `${path}: ${name} has the word "${word}"`),
  );
}

test("each word of the column is checked, or a term, or in other use", () => {
  expect(notWords.size).toBeGreaterThan(30);
  const placed = [...Object.keys(RULED_OUT), ...Object.keys(IN_OTHER_USE)];
  expect([...notWords].filter((word) => !placed.includes(word) && !terms.has(word))).toEqual([]);
  expect(placed.filter((word) => !notWords.has(word))).toEqual([]);
});

test("no identifier has a word that the glossary rules out", () => {
  const files = sourcesOf("shared", "client", "worker");
  expect(files.size).toBeGreaterThan(100);
  expect(wrongWords(files)).toEqual([]);
  const unused = Object.entries(RULED_OUT).flatMap(([word, allowed]) => {
    const names = new Set(uses(word, files).map(([, name]) => name));
    return Object.keys(allowed).filter((name) => !names.has(name));
  });
  expect(unused, "exceptions that nothing needs any more").toEqual([]);
});

test("a word that is ruled out is found, however it is written, and in code alone", () => {
  const bad = [
    'class EntityStore { #revision = "offset"; setAsideEvents(isOptimistic: boolean) { return this.queues; } }',
    "const LOG_OFFSETS = 1; interface Old { readonly history: string; readonly stoppedByOtherHistory: string }",
    'type Tenants = { liveFeeds: "sequence" }; // a bundle',
    "const liveness = review + entities + queueMicrotask + prehistory;",
  ].join("\n");
  const found = wrongWords(new Map([["x.ts", bad]])).map((line) => line.split(" ")[1]);
  expect(found.sort()).toEqual(
    "EntityStore LOG_OFFSETS Tenants entities history isOptimistic liveFeeds queues revision setAsideEvents".split(" "),
  );
});

test("live is the word of live values, which only the device has", () => {
  expect(uses("live", sourcesOf("shared", "worker"))).toEqual([]);
  expect(uses("live", new Map([["worker/x.ts", "class LiveLog {}"]]))).toHaveLength(1);
});
