/**
 * Our promises over IndexedDB beside the library `idb`, whose types they have: the same cases through both, with the same outcome. Then what
 * the library can't do, and what ours leaves out. `test/browser/realm.browser.test.ts` runs the cases in a browser.
 *
 * The library needs the classes of IndexedDB to be global. Ours is run once more on an IndexedDB with classes of its own.
 */
import "fake-indexeddb/auto";
import { createRequire } from "node:module";
import { forceCloseDatabase } from "fake-indexeddb";
import { deleteDB, openDB, wrap } from "idb";
import { describe, expect, test, vi } from "vitest";
import { openDatabase, type Platform } from "../../../client/storage/idb.ts";
import { ada, begin, CASES, DEFAULTS, filled, library, ours, outcome, type Subject } from "./idb-cases.ts";

/** The same code built a second time: an IndexedDB whose classes are not the global ones, as in another realm. */
const elsewhere: typeof import("fake-indexeddb") = createRequire(import.meta.url)("fake-indexeddb");
const otherPlatform: Platform = { indexedDB: new elsewhere.IDBFactory(), IDBKeyRange: elsewhere.IDBKeyRange };

/** Closes a connection as a browser does by itself. */
type ForceClose = (db: IDBDatabase) => void;

const SUBJECTS: readonly (readonly [string, Subject, ForceClose])[] = [
  ["idb", library(), forceCloseDatabase as unknown as ForceClose],
  ["ours", ours(globalThis), forceCloseDatabase as unknown as ForceClose],
  ["ours, on an IndexedDB with classes of its own", ours(otherPlatform), elsewhere.forceCloseDatabase as unknown as ForceClose],
];

describe.each(SUBJECTS)("%s", (_, subject, forceClose) => {
  test.each(CASES)("%s", async (_, expected, run) => {
    const db = await filled(subject);
    expect(await run(db, subject)).toEqual(expected);
    db.close();
  });

  test("a connection that the browser closes says so, one that is closed here does not", async () => {
    const seen: string[] = [];
    const ended = Promise.withResolvers<void>();
    (await subject.open(crypto.randomUUID(), 1, { terminated: () => seen.push("closed here") })).close();
    let raw: IDBDatabase | undefined;
    await subject.open(crypto.randomUUID(), 1, {
      terminated() {
        seen.push("terminated");
        ended.resolve();
      },
      upgrade(db, from, tx) {
        raw = db;
        DEFAULTS.upgrade(db, from, tx);
      },
    });
    forceClose(raw as unknown as IDBDatabase);
    await ended.promise;
    expect(seen).toEqual(["terminated"]);
  });
});

test("an IndexedDB that is handed in, or of another realm: the library hands back requests, ours promises", async () => {
  const { indexedDB } = otherPlatform;
  const request = indexedDB.open(crypto.randomUUID(), 1);
  expect(wrap(request)).toBe(request);
  await new Promise((resolve) => request.addEventListener("success", resolve));
  expect(wrap(request.result)).toBe(request.result);
  expect(await openDatabase(otherPlatform, crypto.randomUUID(), 1, DEFAULTS)).toHaveProperty("version", 1);
  // In Node nothing is global, nor need it be.
  for (const name of Object.getOwnPropertyNames(globalThis)) if (/^IDB|^indexedDB$/.test(name)) vi.stubGlobal(name, undefined);
  try {
    expect(() => openDB(crypto.randomUUID(), 1)).toThrow();
    expect(() => deleteDB(crypto.randomUUID())).toThrow();
    expect(() => wrap(otherPlatform.indexedDB.open(crypto.randomUUID(), 1))).toThrow();
    expect(await openDatabase(otherPlatform, crypto.randomUUID(), 1, DEFAULTS)).toHaveProperty("version", 1);
  } finally {
    vi.unstubAllGlobals();
  }
});

const [LIBRARY, ...OURS] = SUBJECTS.map(([, subject]) => subject);

test("what ours leaves out: shortcuts of a database, the only store of a transaction, iteration, its end by `in`", async () => {
  const found = async (subject: Subject) => {
    const db = await filled(subject);
    const [tx, one] = [begin(db, "readonly"), db.transaction("people")];
    const people = tx.objectStore("people");
    const members = [db.get, db.put, db.getAllFromIndex, one.store, people.iterate, people[Symbol.asyncIterator]];
    return [...members.map((member) => member !== undefined), "done" in tx];
  };
  expect(await found(LIBRARY as Subject)).toEqual(Array(7).fill(true));
  for (const subject of OURS) expect(await found(subject)).toEqual(Array(7).fill(false));
});

test("what ours does otherwise: a transaction says why it was aborted", async () => {
  const end = async (subject: Subject) => {
    const tx = begin(await filled(subject), "readwrite");
    const done = outcome(() => tx.done);
    await outcome(() => tx.objectStore("people").add(ada));
    return done;
  };
  expect(await end(LIBRARY as Subject)).toBe("AbortError");
  for (const subject of OURS) expect(await end(subject)).toBe("ConstraintError");
});

test("what ours does otherwise: what nobody waits for is no unhandled rejection, on which Vitest fails", async () => {
  for (const subject of OURS) {
    const tx = begin(await filled(subject), "readwrite");
    void tx.objectStore("people").add(ada);
    await expect(tx.objectStore("people").count()).rejects.toThrow();
    const fail = () => {
      throw new Error("An upgrade that fails.");
    };
    expect(await outcome(() => subject.open(crypto.randomUUID(), 1, { upgrade: fail }))).toBe("AbortError");
  }
});
