/** Cases of promises over IndexedDB, for the library `idb` and for ours: whatever both do, they do alike. */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, unwrap } from "idb";
import { expect } from "vitest";
import { between, type OpenHandlers, openDatabase, type Platform } from "../../../client/storage/idb.ts";

interface Person {
  readonly id: number;
  readonly name: string;
  readonly tags: readonly string[];
}

interface Schema extends DBSchema {
  people: { key: number; value: Person; indexes: { name: string; tags: string } };
  notes: { key: number; value: unknown };
}

export type Db = IDBPDatabase<Schema>;
type Tx<M extends IDBTransactionMode> = IDBPTransaction<Schema, ("people" | "notes")[], M>;

export interface Subject {
  open(name: string, version: number, handlers?: Partial<OpenHandlers>): Promise<Db>;
  between(tx: object, lower: IDBValidKey, upper: IDBValidKey): IDBKeyRange;
  readonly platform: Platform;
}

export const DEFAULTS: OpenHandlers = {
  upgrade(db, from) {
    if (from > 0) return;
    const people = db.createObjectStore("people", { keyPath: "id" });
    people.createIndex("name", "name");
    people.createIndex("tags", "tags", { multiEntry: true });
    db.createObjectStore("notes", { autoIncrement: true });
  },
  blocked: () => undefined,
  blocking: (db) => db.close(),
  terminated: () => undefined,
};

export function ours(platform: Platform): Subject {
  return {
    open: (name, version, handlers) => openDatabase<Schema>(platform, name, version, { ...DEFAULTS, ...handlers }),
    between,
    platform,
  };
}

/** The library serves what is global. */
export const library = (): Subject => ({
  open(name, version, handlers) {
    const { upgrade, blocked, blocking, terminated } = { ...DEFAULTS, ...handlers };
    return openDB<Schema>(name, version, {
      upgrade: (db, from, _, tx) => upgrade(unwrap(db) as unknown as IDBDatabase, from, unwrap(tx) as unknown as IDBTransaction),
      blocked: () => blocked(),
      blocking: (_, to, event) => blocking(event.target as IDBDatabase, to),
      terminated: () => terminated(),
    });
  },
  between: (_, lower, upper) => IDBKeyRange.bound(lower, upper),
  platform: globalThis,
});

export const ada: Person = { id: 1, name: "Ada", tags: ["maths", "first"] };
const grace: Person = { id: 2, name: "Grace", tags: ["maths"] };
const linus: Person = { id: 3, name: "Linus", tags: [] };

/** The value of a promise, or the name of the error, also of another realm's, that it rejects with or that a call throws. */
export async function outcome(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return Object.prototype.toString.call(error) === "[object DOMException]" ? (error as DOMException).name : error;
  }
}

export function begin<M extends IDBTransactionMode>(db: Db, mode: M, options?: IDBTransactionOptions): Tx<M> {
  return db.transaction(["people", "notes"] as ("people" | "notes")[], mode, options);
}

export async function filled(subject: Subject): Promise<Db> {
  const db = await subject.open(crypto.randomUUID(), 1);
  const tx = begin(db, "readwrite");
  for (const person of [ada, grace, linus]) await tx.objectStore("people").put(person);
  await tx.done;
  return db;
}

/** A name, what is expected of every subject, and how it comes about. */
export type Case = readonly [name: string, expected: unknown, run: (db: Db, subject: Subject) => Promise<unknown>];

export const CASES: readonly Case[] = [
  [
    "reads of a store",
    [ada, undefined, 2, undefined, [grace, linus], [ada], [1, 2, 3], 3, 1],
    async (db, subject) => {
      const tx = begin(db, "readonly");
      const people = tx.objectStore("people");
      const range = subject.between(tx, 2, 9);
      return Promise.all([
        people.get(1),
        people.get(9),
        people.getKey(range),
        people.getKey(9),
        people.getAll(range),
        people.getAll(undefined, 1),
        people.getAllKeys(),
        people.count(),
        people.count(1),
      ]);
    },
  ],
  [
    "writes of a store",
    [
      4,
      1,
      1,
      2,
      undefined,
      undefined,
      2,
      [
        { ...ada, name: "Ada L." },
        { ...linus, id: 4 },
      ],
      undefined,
      0,
    ],
    async (db, subject) => {
      const tx = begin(db, "readwrite");
      const [people, notes] = [tx.objectStore("people"), tx.objectStore("notes")];
      return [
        await people.add({ ...linus, id: 4 }),
        await people.put({ ...ada, name: "Ada L." }),
        await notes.add("a"),
        await notes.put("b"),
        await notes.delete(1),
        await people.delete(subject.between(tx, 2, 3)),
        await people.count(),
        await people.getAll(),
        await people.clear(),
        await people.count(),
      ];
    },
  ],
  [
    "values come back as they were stored",
    [new Map([["a", new Date(0)]]), [1, { b: undefined }], null, "text"],
    async (db) => {
      const notes = begin(db, "readwrite").objectStore("notes");
      for (const value of [new Map([["a", new Date(0)]]), [1, { b: undefined }], null, "text"]) await notes.put(value);
      // Copied, since a value has the classes of the realm whose IndexedDB it comes from.
      return structuredClone(await notes.getAll());
    },
  ],
  [
    "an index",
    [grace, 3, [ada, grace], [ada], [1, 2], 2, 0],
    async (db, subject) => {
      const tx = begin(db, "readonly");
      const people = tx.objectStore("people");
      const [byName, byTag] = [people.index("name"), people.index("tags")];
      return Promise.all([
        byName.get("Grace"),
        byName.getKey("Linus"),
        byTag.getAll("maths"),
        byTag.getAll(subject.between(tx, "a", "z"), 1),
        byTag.getAllKeys("maths"),
        byTag.count("maths"),
        byTag.count("none"),
      ]);
    },
  ],
  [
    "cursors, forwards and backwards, of a store and of an index",
    [["Ada", "Grace", "Linus"], [3, 2, 1], ["Linus 3", "Grace 2"], null],
    async (db, subject) => {
      const tx = begin(db, "readonly");
      const people = tx.objectStore("people");
      const names: string[] = [];
      for (let cursor = await people.openCursor(); cursor !== null; cursor = await cursor.continue()) names.push(cursor.value.name);
      const keys: number[] = [];
      for (let cursor = await people.openKeyCursor(null, "prev"); cursor !== null; cursor = await cursor.continue()) keys.push(cursor.key);
      const entries: string[] = [];
      const range = subject.between(tx, "B", "Z");
      for (let cursor = await people.index("name").openKeyCursor(range, "prev"); cursor !== null; cursor = await cursor.continue()) {
        entries.push(`${cursor.key} ${cursor.primaryKey}`);
      }
      return [names, keys, entries, await people.openCursor(99)];
    },
  ],
  [
    "a cursor that skips, and its other ways on",
    [3, null, 2, true],
    async (db) => {
      const people = begin(db, "readonly").objectStore("people");
      const first = await people.openCursor();
      const third = await first?.advance(2);
      const key = third?.key;
      const end = await third?.continue();
      const byTag = await people.index("tags").openCursor("maths");
      const next = await byTag?.continuePrimaryKey("maths", 2);
      return [key, end, next?.primaryKey, next === byTag];
    },
  ],
  [
    "two cursors at once",
    [
      [1, 3],
      [2, 2],
      [3, 1],
    ],
    async (db) => {
      const people = begin(db, "readonly").objectStore("people");
      const pairs: unknown[] = [];
      let [up, down] = await Promise.all([people.openCursor(), people.openCursor(null, "prev")]);
      while (up !== null && down !== null) {
        pairs.push([up.key, down.key]);
        [up, down] = await Promise.all([up.continue(), down.continue()]);
      }
      return pairs;
    },
  ],
  [
    "a transaction that completes",
    [undefined, ["Ada"]],
    async (db) => {
      const tx = begin(db, "readwrite");
      const names = (await tx.objectStore("people").getAll(1)).map(({ name }) => name);
      return [await tx.done, names];
    },
  ],
  [
    "a transaction stays alive across the awaits of its requests, and of what is resolved already, and no longer",
    [ada, grace, "TransactionInactiveError"],
    async (db) => {
      const tx = begin(db, "readonly");
      const people = tx.objectStore("people");
      const first = await people.get(1);
      for (let i = 0; i < 20; i++) await Promise.resolve();
      const second = await people.get(2);
      // Nothing else is asked of the transaction: it completes by itself.
      await tx.done;
      return [first, second, await outcome(() => people.get(3))];
    },
  ],
  [
    "a write has ended before its tab gets what is read after it",
    ["written", 4],
    async (db) => {
      const seen: unknown[] = [];
      const tx = begin(db, "readwrite", { durability: "strict" });
      void tx.objectStore("people").put({ ...linus, id: 4 });
      const written = tx.done.then(() => seen.push("written"));
      seen.push(await begin(db, "readonly").objectStore("people").count());
      await written;
      return seen;
    },
  ],
  [
    "a transaction that is aborted: its end and its requests, and nothing of it is kept",
    ["AbortError", "AbortError", 3],
    async (db) => {
      const tx = begin(db, "readwrite");
      const cleared = outcome(() => tx.objectStore("people").clear());
      tx.abort();
      return [await outcome(() => tx.done), await cleared, await begin(db, "readonly").objectStore("people").count()];
    },
  ],
  [
    "a request that fails: its own error, that of those behind it, and nothing is kept",
    ["ConstraintError", "AbortError", 3],
    async (db) => {
      const tx = begin(db, "readwrite");
      const people = tx.objectStore("people");
      const done = outcome(() => tx.done);
      const errors = await Promise.all([outcome(() => people.add(ada)), outcome(() => people.put({ ...ada, id: 7 }))]);
      await done;
      return [...errors, await begin(db, "readonly").objectStore("people").count()];
    },
  ],
  [
    "what throws at once",
    ["ReadOnlyError", "NotFoundError", "NotFoundError", "DataError", "InvalidStateError", "InvalidStateError"],
    async (db) => {
      const tx = begin(db, "readonly");
      const people = tx.objectStore("people");
      const thrown = [
        await outcome(() => (people as unknown as IDBObjectStore).put(ada)),
        await outcome(() => tx.objectStore("none" as "people")),
        await outcome(() => people.index("none" as "name")),
        await outcome(() => people.get({} as unknown as number)),
      ];
      await tx.done;
      thrown.push(await outcome(() => tx.abort()));
      db.close();
      return [...thrown, await outcome(() => begin(db, "readonly"))];
    },
  ],
  [
    "an object is the same whichever way it is reached, and its properties can be read",
    [true, true, true, true, true, 1, ["name", "tags"], ["notes", "people"], "id", "readwrite", "relaxed", true],
    async (db) => {
      const tx = begin(db, "readwrite", { durability: "relaxed" });
      const people = tx.objectStore("people");
      const byName = people.index("name");
      return [
        tx.db === db,
        people.transaction === tx,
        tx.objectStore("people") === people,
        people.index("name") === byName,
        byName.objectStore === people,
        db.version,
        [...people.indexNames],
        [...db.objectStoreNames],
        people.keyPath,
        tx.mode,
        tx.durability,
        people.indexNames.contains("tags"),
      ];
    },
  ],
  [
    "members that an object has, and that it has not",
    [true, true, true, false, false],
    async (db) => {
      const people = begin(db, "readonly").objectStore("people");
      return ["transaction" in db, "close" in db, "getAll" in people, "then" in db, "none" in people];
    },
  ],
  [
    "an upgrade: from which version, and only if there is one",
    [[0, 1], "VersionError", 2],
    async (_, subject) => {
      const name = crypto.randomUUID();
      const seen: number[] = [];
      const upgrade: OpenHandlers["upgrade"] = (db, from, tx) => {
        seen.push(from);
        DEFAULTS.upgrade(db, from, tx);
      };
      (await subject.open(name, 1, { upgrade })).close();
      (await subject.open(name, 1, { upgrade })).close();
      const db = await subject.open(name, 2, { upgrade });
      db.close();
      return [seen, await outcome(() => subject.open(name, 1)), db.version];
    },
  ],
  [
    "a connection in the way of an upgrade is asked to close, and one that does not blocks it until it does",
    ["blocking 2", "blocked", "open 2"],
    async (_, subject) => {
      const name = crypto.randomUUID();
      const seen: string[] = [];
      const old = await subject.open(name, 1, { blocking: (_, version) => seen.push(`blocking ${version}`) });
      const opening = subject.open(name, 2, { blocked: () => seen.push("blocked") });
      await expect.poll(() => seen.length).toBe(2);
      old.close();
      seen.push(`open ${(await opening).version}`);
      return seen;
    },
  ],
  [
    "a connection in the way of a deletion",
    ["blocking null", "deleted"],
    async (_, subject) => {
      const name = crypto.randomUUID();
      const seen: string[] = [];
      const blocking: OpenHandlers["blocking"] = (db, version) => {
        seen.push(`blocking ${version}`);
        db.close();
      };
      await subject.open(name, 1, { blocking });
      const request = subject.platform.indexedDB.deleteDatabase(name);
      await new Promise((resolve) => request.addEventListener("success", resolve));
      return [...seen, "deleted"];
    },
  ],
];
