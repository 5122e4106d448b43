/** Databases in memory, by Node's own SQLite. */
import type { OpenDatabase } from "./sql.ts";

/** Not a literal, so that neither a bundler nor a type checker without Node's types looks for it. */
const SQLITE: string = "node:sqlite";

/** @throws Error outside of Node, and in a Node before 22.13 */
export async function loadSqlite(): Promise<OpenDatabase> {
  try {
    const { DatabaseSync } = await import(/* @vite-ignore */ SQLITE);
    return () => new DatabaseSync(":memory:");
  } catch (error) {
    throw new Error("An edge in memory needs node:sqlite: run the tests in Node 22.13 or later.", { cause: error });
  }
}
