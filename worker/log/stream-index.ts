/**
 * The index of a store's streams. It lives in an object of its own, `LOGS.getByName("<store>/streams")`, so that an operator still knows the
 * streams, and how far the log had reached, if the log was lost or put back to an older copy. It only grows, until the store is deleted.
 * `StreamIndexing` tells it of them.
 *
 *     streams:  stream_id
 *     "end"     the end of the log, as it was told last
 */
import { isSameEnd } from "../../shared/edge/lost-history.ts";
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { IndexedStreams } from "../../shared/wire/reconcile.ts";

/** The name of the index's object. No store has it, because ids of stores have no slash. */
export function indexName(store: string): string {
  return `${store}/streams`;
}

const END = "end";

export class StreamIndex {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  add(streamIds: readonly string[]): void {
    this.#begin();
    this.#storage.transactionSync(() => {
      for (const streamId of streamIds) this.#storage.sql.exec("INSERT OR IGNORE INTO streams VALUES (?)", streamId);
    });
  }

  /** The end of the log; null if the index was never told one. */
  get end(): LogEnd | null {
    return this.#storage.kv.get<LogEnd>(END) ?? null;
  }

  /** Remembers an end of the log in place of another one. @returns whether it did: if it has a different one, the log has to compare that */
  remember(end: LogEnd, before: LogEnd | null): boolean {
    const known = this.end;
    if (!isSameEnd(known, before)) return false;
    if (!isSameEnd(known, end)) this.#storage.kv.put(END, end);
    return true;
  }

  list(after: string, limit: number): IndexedStreams {
    this.#begin();
    const query = "SELECT stream_id FROM streams WHERE stream_id > ? ORDER BY stream_id LIMIT ?";
    const streams = this.#storage.sql
      .exec<{ stream_id: string }>(query, after, limit + 1)
      .toArray()
      .map(({ stream_id }) => stream_id);
    if (streams.length <= limit) return { streams, next: null };
    streams.pop();
    return { streams, next: streams.at(-1) ?? null };
  }

  /** @returns whether others are left */
  remove(streamIds: readonly string[]): boolean {
    this.#begin();
    this.#storage.transactionSync(() => {
      for (const streamId of streamIds) this.#storage.sql.exec("DELETE FROM streams WHERE stream_id = ?", streamId);
    });
    return this.#storage.sql.exec("SELECT 1 FROM streams LIMIT 1").toArray().length > 0;
  }

  #begin(): void {
    this.#storage.sql.exec("CREATE TABLE IF NOT EXISTS streams (stream_id TEXT PRIMARY KEY) WITHOUT ROWID");
  }
}
