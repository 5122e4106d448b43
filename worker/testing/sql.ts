/**
 * An object's SQL database, in memory. What was written since the last commit is in one open transaction of SQLite. Each savepoint is
 * opened only if something is written in it.
 */

/** What is used of `DatabaseSync` of `node:sqlite`. */
export interface Database {
  exec(query: string): void;
  prepare(query: string): Statement;
  close(): void;
}

interface Statement {
  all(...values: never[]): unknown[];
  iterate(...values: never[]): Iterable<unknown>;
  run(...values: never[]): unknown;
}

/** Bytes of a text: https://developers.cloudflare.com/durable-objects/platform/limits/. A local `wrangler dev` allows more. */
const LARGEST = 2 * 1024 * 1024;

export type OpenDatabase = () => Database;

/** A statement that writes, to be run again. */
export interface Written {
  readonly query: string;
  readonly values: readonly unknown[];
}

/** All that a database holds. */
export interface Dump {
  readonly schema: readonly string[];
  readonly tables: readonly { readonly name: string; readonly rows: readonly Row[] }[];
}

type Row = Readonly<Record<string, unknown>>;

const READS = /^\s*(?:SELECT|VALUES|EXPLAIN|PRAGMA|WITH\b(?![\s\S]*\b(?:INSERT|UPDATE|DELETE|REPLACE)\b))/i;
const CHANGES_SCHEMA = /\b(?:DROP|ALTER)\b/i;
const REFUSED = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b/i;
/** Only statements that do nothing the second time. */
const REPEATABLE = /^(?:\s*CREATE\s+(?:TABLE|(?:UNIQUE\s+)?INDEX)\s+IF\s+NOT\s+EXISTS[^;]*;?)+\s*$/i;

export class SqlDatabase {
  readonly #open: OpenDatabase;
  /** An empty one, for the reads of all objects that never wrote. */
  readonly #empty: SqlStatements;
  #written: SqlStatements | undefined;
  #isInTransaction = false;
  #savepoints = 0;
  /** Statements that created tables, and would do nothing now. */
  readonly #done = new Set<string>();

  constructor(open: OpenDatabase, empty: SqlStatements) {
    this.#open = open;
    this.#empty = empty;
  }

  /** Whether it holds nothing, and never did. */
  get isUnused(): boolean {
    return this.#written === undefined;
  }

  /** @throws Error for a statement that would end the implicit transaction */
  isWrite(query: string): boolean {
    if (REFUSED.test(query))
      throw new Error("To execute a transaction, use transactionSync() instead of the SQL statements BEGIN or SAVEPOINT.");
    return !READS.test(query) && !this.#done.has(query);
  }

  read(query: string, values: readonly unknown[]): Cursor {
    if (this.#done.has(query)) return new Cursor([]);
    const statements = this.#written ?? this.#empty;
    const given = values.map(bound);
    return new Cursor({ all: () => statements.rows(query, given), each: () => statements.reading(query, given) });
  }

  /** @param depth how many savepoints are around the statement */
  write({ query, values }: Written, depth: number): Cursor {
    this.#written ??= new SqlStatements(this.#open());
    if (!this.#isInTransaction) this.#written.run("BEGIN");
    this.#isInTransaction = true;
    while (this.#savepoints < depth) this.#written.run(`SAVEPOINT s${++this.#savepoints}`);
    const rows = this.#written.write(query, values);
    if (CHANGES_SCHEMA.test(query)) this.#done.clear();
    else if (REPEATABLE.test(query)) this.#done.add(query);
    return new Cursor(rows);
  }

  /** Ends the savepoint of this depth. */
  release(depth: number): void {
    if (this.#savepoints < depth) return;
    this.#written?.run(`RELEASE s${depth}`);
    this.#savepoints = depth - 1;
  }

  rollbackTo(depth: number): void {
    if (this.#savepoints < depth) return;
    this.#written?.run(`ROLLBACK TO s${depth}`);
    this.#done.clear();
    this.release(depth);
  }

  commit(): void {
    this.#end("COMMIT");
  }

  rollback(): void {
    if (this.#isInTransaction) this.#done.clear();
    this.#end("ROLLBACK");
  }

  #end(how: "COMMIT" | "ROLLBACK"): void {
    if (this.#isInTransaction) this.#written?.run(how);
    this.#isInTransaction = false;
    this.#savepoints = 0;
  }

  close(): void {
    this.#written?.close();
  }

  dump(): Dump {
    if (this.#written === undefined) return { schema: [], tables: [] };
    const made = this.#written.rows("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, rowid");
    const tables = made
      .filter(({ type }) => type === "table")
      .map(({ name }) => ({ name: String(name), rows: this.#written?.rows(`SELECT * FROM ${quoted(String(name))}`) ?? [] }));
    return { schema: made.map(({ sql }) => String(sql)), tables };
  }

  load({ schema, tables }: Dump): void {
    if (schema.length === 0) return;
    this.#written = new SqlStatements(this.#open());
    for (const query of schema) this.#written.run(query);
    this.#written.run("BEGIN");
    for (const { name, rows } of tables) {
      for (const row of rows) {
        const values = Object.values(row);
        this.#written.write(`INSERT INTO ${quoted(name)} VALUES (${values.map(() => "?").join(", ")})`, values);
      }
    }
    this.#written.run("COMMIT");
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A database with its prepared statements. */
export class SqlStatements {
  readonly #database: Database;
  readonly #prepared = new Map<string, Statement>();
  /** Statements whose rows are being read. */
  readonly #busy = new Set<Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }

  run(query: string): void {
    this.#statement(query).run();
  }

  rows(query: string, values: readonly unknown[] = []): Row[] {
    const rows = this.#statement(query).all(...(values as never[])) as Record<string, unknown>[]; // as SQLite returns them
    for (const row of rows) asRead(row);
    return rows;
  }

  *reading(query: string, values: readonly unknown[]): Generator<Row> {
    const statement = this.#statement(query);
    this.#busy.add(statement);
    try {
      const rows = statement.iterate(...(values as never[])) as Iterable<Record<string, unknown>>; // as SQLite returns them
      for (const row of rows) {
        asRead(row);
        yield row;
      }
    } finally {
      this.#busy.delete(statement);
    }
  }

  /** Runs one statement with its values, or any number of statements without. */
  write(query: string, values: readonly unknown[]): Row[] {
    if (values.length > 0 || !query.trim().replace(/;$/, "").includes(";")) return this.rows(query, values.map(bound));
    this.#database.exec(query);
    return [];
  }

  #statement(query: string): Statement {
    const known = this.#prepared.get(query);
    if (known !== undefined && !this.#busy.has(known)) return known;
    const statement = this.#database.prepare(query);
    if (known === undefined) this.#prepared.set(query, statement);
    return statement;
  }
}

/** Bytes are an `ArrayBuffer` for who reads them: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#exec */
function asRead(row: Record<string, unknown>): void {
  for (const column in row) {
    const value = row[column];
    if (value instanceof Uint8Array) row[column] = value.slice().buffer;
  }
}

function bound(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "string" && value.length > LARGEST / 3 && new TextEncoder().encode(value).length > LARGEST) {
    throw new Error("string or blob too big: SQLITE_TOOBIG");
  }
  return value instanceof ArrayBuffer ? new Uint8Array(value) : typeof value === "boolean" ? Number(value) : value;
}

/** Where a cursor gets its rows: all at once, or one after the other. */
interface Rows {
  all(): Row[];
  each(): Iterator<Row>;
}

/** The rows of a statement, as the platform's `SqlStorageCursor` returns them. A statement that reads is run when they are needed. */
export class Cursor implements Iterable<Row> {
  readonly #source: Rows;
  #rows: Iterator<Row> | undefined;

  constructor(source: Rows | readonly Row[]) {
    this.#source = "all" in source ? source : { all: () => [...source], each: () => source[Symbol.iterator]() };
  }

  next(): IteratorResult<Row> {
    this.#rows ??= this.#source.each();
    return this.#rows.next();
  }

  *[Symbol.iterator](): Generator<Row> {
    try {
      for (let row = this.next(); row.done !== true; row = this.next()) yield row.value;
    } finally {
      this.#rows?.return?.();
    }
  }

  toArray(): Row[] {
    if (this.#rows !== undefined) return [...this];
    this.#rows = [][Symbol.iterator]();
    return this.#source.all();
  }

  /** @throws Error unless there is exactly one row */
  one(): Row {
    const [row, ...others] = this.toArray();
    if (row === undefined || others.length > 0) throw new Error("Expected exactly one result from SQL query, but got another number.");
    return row;
  }

  *raw(): Generator<unknown[]> {
    for (const row of this) yield Object.values(row);
  }
}
