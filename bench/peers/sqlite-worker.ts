/** The worker that has SQLite. Journal and durability are SQLite's defaults: a rollback journal, and `synchronous` full. */
import sqlite3InitModule, { type Database, type PreparedStatement } from "@sqlite.org/sqlite-wasm";
import type { GivenEvent } from "../page/data.ts";
import type { Row, SqliteAnswer, SqliteCalls, SqliteRequest } from "./sqlite-calls.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, stream_id TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL,
    data TEXT NOT NULL, metadata TEXT NOT NULL, occurred_at TEXT NOT NULL, UNIQUE (stream_id, version)
  )`;
const COLUMNS = "id, stream_id, version, type, data, metadata, occurred_at";
/** Files that the pool keeps beyond the databases and journals that are open. */
const SPARE_FILES = 4;

const starting = start();

async function start() {
  const sqlite3 = await sqlite3InitModule();
  return sqlite3.installOpfsSAHPoolVfs({});
}

interface Open {
  readonly db: Database;
  readonly insert: PreparedStatement;
}

const open = new Map<string, Open>();

async function answer({ name, args }: SqliteRequest): Promise<unknown> {
  const pool = await starting;
  if (name === "open") await pool.reserveMinimumCapacity(pool.getFileCount() + open.size + SPARE_FILES);
  const calls: SqliteCalls = {
    open(database) {
      const db = new pool.OpfsSAHPoolDb(`/${database}`);
      db.exec(SCHEMA);
      open.set(database, { db, insert: db.prepare(`INSERT INTO events (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`) });
    },
    add(database, events) {
      const { db, insert } = opened(database);
      db.transaction(() => {
        for (const event of events) insert.bind(valuesOf(event)).stepReset();
      });
    },
    readStream: (database, streamId) =>
      rowsOf(database, `SELECT position, ${COLUMNS} FROM events WHERE stream_id = ? ORDER BY version`, [streamId]),
    readPage: (database, after, limit) =>
      rowsOf(database, `SELECT position, ${COLUMNS} FROM events WHERE position > ? ORDER BY position LIMIT ?`, [after, limit]),
    size(database) {
      const { db } = opened(database);
      return Number(db.selectValue("PRAGMA page_count")) * Number(db.selectValue("PRAGMA page_size"));
    },
    close(database) {
      const { db, insert } = opened(database);
      insert.finalize();
      db.close();
      open.delete(database);
    },
    remove(database) {
      pool.unlink(`/${database}`);
    },
  };
  const call: (...given: never[]) => unknown = calls[name];
  return call(...(args as never[]));
}

function valuesOf({ id, streamId, version, type, data, metadata, occurredAt }: GivenEvent) {
  return [id, streamId, version, type, JSON.stringify(data), JSON.stringify(metadata), occurredAt];
}

/** As events. */
function rowsOf(database: string, sql: string, bind: (string | number)[]): Row[] {
  const rows = opened(database).db.selectObjects(sql, bind);
  return rows.map(({ position, data, metadata, ...row }) => ({
    ...row,
    position: Number(position),
    data: JSON.parse(String(data)),
    metadata: JSON.parse(String(metadata)),
  }));
}

function opened(database: string): Open {
  const found = open.get(database);
  if (found === undefined) throw new Error(`${database} is not open`);
  return found;
}

self.addEventListener("message", ({ data }: MessageEvent<SqliteRequest>) => {
  answer(data).then(
    (result) => post({ id: data.id, result }),
    (error: unknown) => post({ id: data.id, error: String(error) }),
  );
});

function post(message: SqliteAnswer): void {
  self.postMessage(message);
}
