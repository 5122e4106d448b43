/** The simulation's IndexedDB and fake-indexeddb, given the same random requests: the same results and the same errors. */
import { IDBKeyRange as FakeRange, IDBFactory } from "fake-indexeddb";
import { expect, test } from "vitest";
import type { Platform } from "../../../client/storage/idb.ts";
import { Disk } from "../indexed-db/disk.ts";
import { Random } from "../random.ts";
import { NO_FAULTS, realLoop } from "./idb-ground.ts";

const SEEDS = Number(process.env["SEED"] ?? 0) === 0 ? Array.from({ length: 150 }, (_, i) => i + 1) : [Number(process.env["SEED"])];

const STORES: readonly (readonly [string, IDBObjectStoreParameters])[] = [
  ["outer", {}],
  ["counted", { autoIncrement: true }],
  ["inner", { keyPath: "id" }],
  ["deep", { keyPath: "a.id", autoIncrement: true }],
  ["pair", { keyPath: ["id", "n"] }],
];
const INDEXES: readonly (readonly [string, string | string[], IDBIndexParameters])[] = [
  ["n", "n", {}],
  ["tags", "tags", { multiEntry: true }],
  ["one", "one", { unique: true }],
  ["both", ["n", "one"], {}],
  ["each", "each", { multiEntry: true, unique: true }],
];
const DIRECTIONS: readonly IDBCursorDirection[] = ["next", "nextunique", "prev", "prevunique"];

/*
 * Left out, because fake-indexeddb does otherwise than the standard says, or serves more: a value that can't be cloned beside a key that is
 * not valid; null and undefined as values, for which it throws a TypeError if the database assigns keys; numbers as given keys if the database assigns keys, since it doesn't undo their effect on the next key if the transaction is
 * aborted; other things than keys and ranges as queries, which `getAll` takes for options.
 */

/** What happened, in order. */
type Story = unknown[];

function key(random: Random, depth = 0): unknown {
  const keys: (() => unknown)[] = [
    () => random.between(-2, 6),
    () => random.between(0, 4) / 2,
    () => random.pick(["", "a", "b", "ä", "\u{1f600}"]),
    () => new Date(random.between(0, 3)),
    () => new Uint8Array([random.between(0, 2), random.between(0, 2)]),
    () => (depth > 2 ? [] : Array.from({ length: random.between(0, 2) }, () => key(random, depth + 1))),
    () => random.between(1, 4),
    () => random.between(1, 4),
    () => random.pick([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]),
    () => (depth === 0 && random.chance(0.3) ? random.pick([null, Number.NaN, new Date(Number.NaN)]) : 1),
  ];
  return random.pick(keys)();
}

/** For stores whose keys the database assigns. */
function unnumbered(given: unknown): unknown {
  return typeof given === "number" ? `${given}` : given;
}

function value(random: Random): unknown {
  if (random.chance(0.05)) return random.pick([["text"], [5], [[1]], [new Date(5)]])[0];
  const maybe = (chance: number, name: string, make: () => unknown) => (random.chance(chance) ? { [name]: make() } : {});
  return {
    ...maybe(0.8, "id", () => key(random)),
    ...maybe(0.7, "n", () => key(random)),
    ...maybe(0.5, "a", () => (random.chance(0.9) ? { ...maybe(0.5, "id", () => unnumbered(key(random))) } : 5)),
    ...maybe(0.5, "tags", () => Array.from({ length: random.between(0, 3) }, () => key(random))),
    ...maybe(0.3, "one", () => random.between(0, 12)),
    ...maybe(0.2, "each", () => [random.between(0, 20), random.between(0, 20)]),
    text: random.pick(["x", "y"]),
    ...maybe(0.1, "other", () => random.pick([new Map([[1, 2]]), new Uint8Array([1, 2]), [[], { a: [null, undefined] }]])),
  };
}

function query(random: Random, { IDBKeyRange }: Platform): unknown {
  const kind = random.between(0, 6);
  if (kind === 0) return undefined;
  if (kind < 3) return key(random);
  if (kind === 3) return IDBKeyRange.lowerBound(key(random), random.chance(0.5));
  if (kind === 4) return IDBKeyRange.upperBound(key(random), random.chance(0.5));
  return IDBKeyRange.bound(key(random), key(random), random.chance(0.3), random.chance(0.3));
}

type Source = IDBObjectStore & IDBIndex;

function request(source: Source, random: Random, platform: Platform): IDBRequest {
  const range = () => query(random, platform) as IDBKeyRange;
  const kinds: (() => IDBRequest)[] = [
    () => source.get(range()),
    () => source.getKey(range()),
    () => source.getAll(range(), random.pick([[undefined], [0], [1], [2], [-1]])[0]),
    () => source.getAllKeys(range(), random.pick([[undefined], [3]])[0]),
    () => source.count(range()),
    () => source.openCursor(range(), random.pick(DIRECTIONS)),
    () => source.openKeyCursor(range(), random.pick(DIRECTIONS)),
    () => source.delete(range()),
    () => (random.chance(0.2) ? source.clear() : source.count()),
  ];
  const put = () => {
    const method = random.chance(0.5) ? "put" : "add";
    const given = random.chance(0.5) ? [key(random)] : [];
    const keys = source.autoIncrement ? given.map(unnumbered) : given;
    return source[method](value(random), ...(keys as IDBValidKey[]));
  };
  return random.chance(0.5) ? put() : random.pick(kinds)();
}

function walk(cursor: IDBCursorWithValue, random: Random, story: Story): void {
  if (random.chance(0.2)) attempt(story, "update", () => follow(cursor.update(value(random)), random, story));
  if (random.chance(0.2)) attempt(story, "update", () => follow(cursor.update({ ...cursor.value, text: "new" }), random, story));
  if (random.chance(0.2)) attempt(story, "delete", () => follow(cursor.delete(), random, story));
  const moves: (() => void)[] = [
    () => cursor.continue(),
    () => cursor.continue(),
    () => cursor.continue(key(random) as IDBValidKey),
    () => cursor.advance(random.between(0, 3)),
    () => cursor.continuePrimaryKey(key(random) as IDBValidKey, key(random) as IDBValidKey),
  ];
  for (let i = random.between(0, 2); i >= 0; i--) attempt(story, "move", random.pick(moves));
}

/** What is told of the things that a request returns. */
function told(result: unknown): unknown {
  if (typeof result !== "object" || result === null || !("primaryKey" in result)) return result;
  const { key: at, primaryKey, direction, ...rest } = result as IDBCursorWithValue;
  void rest;
  return { key: at, primaryKey, direction, value: "value" in result ? result.value : "none" };
}

function follow(from: IDBRequest, random: Random, story: Story): void {
  from.onsuccess = () => {
    story.push(["success", structuredClone(told(from.result))]);
    if (typeof from.result === "object" && from.result !== null && "primaryKey" in from.result) walk(from.result, random, story);
  };
  from.onerror = (event) => {
    const isForgiven = random.chance(0.6);
    story.push(["error", from.error?.name, isForgiven]);
    if (isForgiven) event.preventDefault();
  };
}

function attempt(story: Story, what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    story.push([what, (error as Error).name]);
  }
}

/** Runs one transaction, with further requests when earlier ones are answered. */
function transact(db: IDBDatabase, random: Random, platform: Platform, story: Story): Promise<void> {
  const names = STORES.map(([name]) => name).filter(() => random.chance(0.6));
  const mode = random.chance(0.8) ? "readwrite" : "readonly";
  return new Promise((resolve) => {
    attempt(story, "transaction", () => {
      const tx = db.transaction(names, mode);
      const end = ({ type }: Event) => {
        story.push([type, tx.error?.name]);
        resolve();
      };
      tx.addEventListener("complete", end);
      tx.addEventListener("abort", end);
      for (let i = random.between(1, 6); i > 0; i--) {
        const store = tx.objectStore(random.pick(names));
        const source = random.chance(0.7) ? store : store.index(random.pick(INDEXES)[0]);
        attempt(story, "request", () => follow(request(source as Source, random, platform), random, story));
      }
      const ending = random.between(0, 9);
      if (ending === 0) attempt(story, "abort", () => tx.abort());
      if (ending === 1) attempt(story, "commit", () => tx.commit());
    });
    if (names.length === 0) resolve();
  });
}

async function storyOf(platform: Platform, seed: number): Promise<Story> {
  const random = new Random(seed, "differential");
  const story: Story = [];
  const opening = platform.indexedDB.open("db", 1);
  opening.onupgradeneeded = () => {
    for (const [name, options] of STORES) {
      const store = opening.result.createObjectStore(name, options);
      for (const [index, path, kind] of INDEXES) store.createIndex(index, path, kind);
    }
  };
  await new Promise((resolve) => {
    opening.onsuccess = resolve;
  });
  const db = opening.result;
  for (let i = 0; i < 12; i++) await transact(db, random, platform, story);
  const tx = db.transaction([...db.objectStoreNames], "readonly");
  for (const name of db.objectStoreNames) {
    const store = tx.objectStore(name);
    for (const source of [store, ...INDEXES.map(([index]) => store.index(index))]) {
      for (const read of ["getAll", "getAllKeys"] as const) {
        const all = source[read]();
        await new Promise((resolve) => {
          all.onsuccess = resolve;
        });
        story.push([name, source.name, all.result]);
      }
    }
  }
  db.close();
  return story;
}

test("the same requests have the same results", async () => {
  for (const seed of SEEDS) {
    const ours = await storyOf(new Disk(NO_FAULTS).openIn(realLoop()), seed);
    const theirs = await storyOf({ indexedDB: new IDBFactory(), IDBKeyRange: FakeRange }, seed);
    expect(ours, `SEED=${seed}`).toEqual(theirs);
  }
});
