/**
 * The queries that stores and indexes share. A read returns copies, as a browser's does. No fault strikes a read of its own. `getAllRecords` and
 * the options of `getAll` are left out: the product has no use for them.
 */
import { cloneOf } from "./clone.ts";
import { Cursor, CursorWithValue, type Direction, toDirection } from "./cursor.ts";
import { fromKey, toGivenRange, toRange } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import type { Entry, SortedEntries } from "./records.ts";
import { StoreRequest } from "./request.ts";
import type { Transaction } from "./transaction.ts";

const MOST = 2 ** 32 - 1;

export abstract class Queries {
  abstract readonly transaction: Transaction;
  /** The store that holds the records. */
  abstract readonly store: ObjectStore;
  abstract readonly isDeleted: boolean;
  /** The entries that are queried. @throws InvalidStateError or TransactionInactiveError if they can't be */
  abstract readable(): SortedEntries<Entry>;

  get(query: unknown): StoreRequest {
    return this.#first(query, ({ record }) => cloneOf(record.value));
  }

  getKey(query: unknown): StoreRequest {
    return this.#first(query, ({ record }) => fromKey(record.key));
  }

  getAll(query?: unknown, count?: number): StoreRequest {
    return this.#all(query, count, ({ record }) => cloneOf(record.value));
  }

  getAllKeys(query?: unknown, count?: number): StoreRequest {
    return this.#all(query, count, ({ record }) => fromKey(record.key));
  }

  count(query?: unknown): StoreRequest {
    const entries = this.readable();
    const range = toRange(query);
    return this.request(() => Math.max(0, entries.end(range) - entries.start(range)));
  }

  openCursor(query?: unknown, direction?: Direction): StoreRequest {
    return this.#cursor(query, direction, CursorWithValue);
  }

  openKeyCursor(query?: unknown, direction?: Direction): StoreRequest {
    return this.#cursor(query, direction, Cursor);
  }

  protected request(work: () => unknown): StoreRequest {
    return this.transaction.enqueue(new StoreRequest(this, this.transaction, work));
  }

  #first(query: unknown, toResult: (entry: Entry) => unknown): StoreRequest {
    const entries = this.readable();
    const range = toGivenRange(query);
    return this.request(() => {
      const entry = entries.first(range);
      return entry === undefined ? undefined : toResult(entry);
    });
  }

  #all(query: unknown, count: number | undefined, toResult: (entry: Entry) => unknown): StoreRequest {
    const most = toCount(count);
    const entries = this.readable();
    const range = toRange(query);
    return this.request(() => entries.slice(range, most).map(toResult));
  }

  #cursor(query: unknown, given: Direction | undefined, Class: typeof Cursor): StoreRequest {
    const direction = toDirection(given);
    const entries = this.readable();
    const range = toRange(query);
    const request = this.request(() => undefined);
    const cursor = new Class(this, entries, range, direction, request);
    request.work = () => cursor.move(1);
    return request;
  }
}

function toCount(count: unknown): number {
  if (count === undefined || count === null) return Number.POSITIVE_INFINITY;
  const number = Math.trunc(Number(count));
  if (!(number >= 0 && number <= MOST)) throw new TypeError("The count is no unsigned long.");
  return number === 0 ? Number.POSITIVE_INFINITY : number;
}
