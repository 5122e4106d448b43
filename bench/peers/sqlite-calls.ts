/** What the page and SQLite's worker say to each other. */
import type { GivenEvent } from "../page/data.ts";

export interface SqliteCalls {
  open(database: string): void;
  /** In one transaction. */
  add(database: string, events: readonly GivenEvent[]): void;
  readStream(database: string, streamId: string): readonly Row[];
  /** A page of all events, in their order. */
  readPage(database: string, after: number, limit: number): readonly Row[];
  /** Bytes of the database's file. */
  size(database: string): number;
  close(database: string): void;
  remove(database: string): void;
}

/** An event as it is sent to the page. */
export interface Row {
  readonly position: number;
}

export interface SqliteRequest {
  readonly id: number;
  readonly name: keyof SqliteCalls;
  readonly args: readonly unknown[];
}

export type SqliteAnswer = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };
