/** Counts the rows that a log reads. */
import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { TestStore } from "../edge-calls.ts";
import type { Step } from "./published.ts";

/** How many rows the log reads meanwhile. */
export async function rowsReadBy(store: TestStore, work: () => Promise<unknown>): Promise<number> {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  await runInDurableObject(store.log(), (_, { storage }) => {
    const { exec } = storage.sql;
    vi.spyOn(storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      const cursor = exec.call(storage.sql, query, ...bindings);
      cursors.push(cursor);
      return cursor;
    }) as SqlStorage["exec"]);
  });
  await work();
  vi.restoreAllMocks();
  return runInDurableObject(store.log(), () => cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0));
}

/** One event a row. */
export function rowsOf(count: number, typeOf: (i: number) => string = () => "Happened", streams = 1): Step[] {
  return Array.from({ length: count }, (_, i) => ({ streamId: `A-${i % streams}`, size: 1, type: typeOf(i) }));
}
