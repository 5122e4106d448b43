/**
 * Deletes a store's databases on this device: the log, and the rows of its projections.
 *
 *     one upgrade: all object stores deleted, ERASED_VERSION ──► other tabs are closed ──► the rows ──► the empty database
 *           └── killed from here on: whoever opens the store finds the version, and finishes ───────────┘
 */
import { databaseName, databasesOf, rowDatabasesOf } from "../../shared/device/owner.ts";
import { StorageFailedError } from "../../shared/errors.ts";
import type { DeleteOptions } from "../store-options.ts";
import { Connection } from "./connection.ts";
import { ERASED_VERSION, type Schema } from "./database.ts";
import { type Platform, platformNow } from "./idb.ts";
import { ownerOf } from "./owner.ts";
import { forgetTally, talliedIn } from "./tally.ts";

/** @throws what `deleteStore` throws */
export async function eraseStore(name: string, { person, platform = globalThis }: DeleteOptions): Promise<void> {
  const listed = await listDatabases(platform);
  const databases = person === undefined ? databasesOf(name, listed) : [databaseName(name, person)].filter((own) => listed.includes(own));
  for (const database of databases) await eraseDatabase(platform, database);
  // The browser may have lost a database that was counted.
  const tallied = person === undefined ? databasesOf(name, talliedIn(platform)) : [databaseName(name, person)];
  for (const database of tallied) forgetTally(platform, database);
}

/** Deletes one database and its rows. Stores of other tabs on it are closed. */
export async function eraseDatabase(platform: Platform, name: string): Promise<void> {
  let isGone = false;
  const connection = new Connection({
    platform,
    name,
    version: ERASED_VERSION,
    upgrade: (db) => {
      for (const store of [...db.objectStoreNames]) db.deleteObjectStore(store);
    },
    // Another tab has finished the deletion. What has this name from now on is a new store.
    onReplaced: () => {
      isGone = true;
    },
    onReopened: () => undefined,
  });
  // The connection stays open while the rows are deleted: nobody makes the store anew meanwhile.
  await connection.run(async () => undefined);
  forgetTally(platform, name);
  for (const rows of rowDatabasesOf(name, await listDatabases(platform))) await deleted(platform, rows);
  if (!isGone) await deleted(platform, name);
  await connection.close();
}

/** Finishes a deletion that was cut off. @returns false if the database is not being deleted: nothing was changed */
export async function finishDeletion(platform: Platform, name: string): Promise<boolean> {
  const { version } = (await platformNow(platform).indexedDB.databases()).find((database) => database.name === name) ?? {};
  // Another tab may have finished it.
  if (version === undefined) return true;
  if (version !== ERASED_VERSION && !(await isSignedOut(platform, name, version))) return false;
  await eraseDatabase(platform, name);
  return true;
}

/** Whether the person of a database has signed out. */
async function isSignedOut(platform: Platform, name: string, version: number): Promise<boolean> {
  const nothing = () => undefined;
  const connection = new Connection<Schema>({ platform, name, version, upgrade: nothing, onReplaced: nothing, onReopened: nothing });
  try {
    return (await connection.run((db) => ownerOf(db.transaction(["meta"], "readonly")))).ending === "signed-out";
  } finally {
    await connection.close();
  }
}

/** @throws StorageFailedError if the browser can't list databases: nothing was deleted */
export async function listDatabases(platform: Platform): Promise<string[]> {
  const { indexedDB } = platformNow(platform);
  if (indexedDB?.databases === undefined) throw new StorageFailedError("This browser can't list databases, so nothing was deleted.");
  return (await indexedDB.databases()).flatMap(({ name }) => (name === undefined ? [] : [name]));
}

/** Milliseconds. Tabs that have the database open close it when they are asked to; a frozen one may not. */
const PATIENCE = 10_000;

function deleted(platform: Platform, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new StorageFailedError(`The database ${name} is not deleted yet: ${reason}`));
    const waiting = setTimeout(() => fail("another tab may hold it. Close other tabs, and delete the store again."), PATIENCE);
    const request = platformNow(platform).indexedDB.deleteDatabase(name);
    request.addEventListener("success", () => resolve());
    request.addEventListener("error", () => fail(String(request.error)));
    for (const type of ["success", "error"]) request.addEventListener(type, () => clearTimeout(waiting));
  });
}
