/** The files of a local edge that does not run: one SQLite database for each object. */
import { copyFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EdgeProcess } from "./edge.ts";

/** The files of a store's objects. */
export interface StoreFiles {
  readonly log: string;
  /** The index of streams; undefined if it was not told of the log's end. */
  readonly index: string | undefined;
  /** By stream id. */
  readonly streams: ReadonlyMap<string, string>;
}

/** @param store its id @param log the id of its log */
export async function filesOf({ state }: EdgeProcess, store: string, log: string): Promise<StoreFiles> {
  const paths = (await readdir(state, { recursive: true })).filter((file) => file.endsWith(".sqlite")).map((file) => join(state, file));
  const streams = new Map<string, string>();
  let found: string | undefined;
  let index: string | undefined;
  for (const path of paths) {
    withDatabase(path, (db) => {
      const tables = new Set(
        db
          .prepare("SELECT name FROM sqlite_master")
          .all()
          .map(({ name }) => name),
      );
      if (tables.has("meta") && db.prepare("SELECT log FROM meta WHERE log = ?").get(log) !== undefined) found = path;
      if (!tables.has("_cf_KV")) return;
      const isStream = !tables.has("meta");
      for (const { value } of db.prepare("SELECT value FROM _cf_KV").all()) {
        const text = Buffer.from(value as Uint8Array).toString("latin1");
        const name = new RegExp(`${store}/([\\w-]+)`).exec(text)?.[1];
        if (isStream && name !== undefined) streams.set(name, path);
        if (tables.has("streams") && text.includes(log)) index = path;
      }
    });
  }
  if (found === undefined) throw new Error("No object of the edge has the log.");
  return { log: found, index, streams };
}

export function withDatabase<T>(path: string, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path);
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** Copies an object's file. @param to another path */
export async function copyObject(from: string, to: string): Promise<void> {
  withDatabase(from, (db) => db.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  await deleteObject(to);
  await copyFile(from, to);
}

export async function deleteObject(path: string): Promise<void> {
  for (const end of ["", "-wal", "-shm"]) await rm(`${path}${end}`, { force: true });
}

/** Changes a text in an object's values, in place: the new one has as many bytes. @returns how many rows were changed */
export function changeText(path: string, side: "stream" | "log", from: string, to: string): number {
  const [table, column] = side === "log" ? ["runs", "events"] : ["_cf_KV", "value"];
  const [before, after] = [from, to].map((text) => Buffer.from(text).toString("hex").toUpperCase());
  const value = `replace(hex(${column}), '${before}', '${after}')`;
  const as = side === "log" ? `CAST(unhex(${value}) AS TEXT)` : `unhex(${value})`;
  return withDatabase(path, (db) =>
    Number(db.prepare(`UPDATE ${table} SET ${column} = ${as} WHERE instr(hex(${column}), '${before}') > 0`).run().changes),
  );
}

/** An object's alarm goes off no more, as if it had done so long ago. */
export function forgetAlarm(path: string): void {
  const [, folder = "", id = ""] = /^(.*)\/(\w+)\.sqlite$/.exec(path) ?? [];
  withDatabase(path, (db) => db.exec("DELETE FROM _cf_METADATA"));
  withDatabase(join(folder, "metadata.sqlite"), (db) => db.prepare("DELETE FROM _cf_ALARM WHERE actor_id = ?").run(id));
}
