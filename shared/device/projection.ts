/**
 * Projections: rows that are folded from the feed, each from the events of its own key.
 *
 *     event ──► keysOf ──► row of each key ──► evolve ──► row, or none
 *
 * A row depends only on the events of its key, in their order. Confirmed events are folded into stored rows, page by page. Pending events
 * are folded in memory (`overlay.ts`), over the rows that they touch. So no stored row must be reverted, whatever happens to a pending event.
 */

import { frozen, inPlaceErrorOf } from "../decider/frozen.ts";
import { InvalidRequestError } from "../errors.ts";
import type { RecordedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import * as option from "../options.ts";
import type { Scope } from "./replica.ts";
import { isSameCopy } from "./same-copy.ts";

/** Fields of a row by which rows can be found: fields that may hold a string or a number. */
export type IndexField<Row> = {
  [Field in keyof Row & string]-?: [Extract<Row[Field], string | number>] extends [never] ? never : Field;
}[keyof Row & string];

/** `Index` are the fields that queries may name as an index. Default: every field that can be one. */
export interface Projection<Row, Event = RecordedEvent, Index extends IndexField<Row> = IndexField<Row>> {
  /** Characters of `[A-Za-z0-9._-]`, unique in the app. */
  readonly name: string;
  /** A whole number from 1. Raise it when `key`, `evolve`, the filter or the indexes change: the projection is rebuilt then. */
  readonly version: number;
  /** The categories of the events that it is folded from. Default: all. */
  readonly category?: string | readonly string[];
  /** The types of the events that it is folded from. Default: all. */
  readonly type?: string | readonly string[];
  /** Fields by which rows are found. They hold strings or numbers. A row without a field is not found by its index. Default: none. */
  readonly indexes?: readonly Index[];
  /** The keys of the rows that an event changes; undefined for none. Default: one key, the id of the event's stream. */
  key?(event: Event): string | readonly string[] | undefined;
  /**
   * The row after the event; undefined if there is no row after it. Pure, like a decider's `evolve`: it returns a new row, and does not change
   * the one that it gets. In development, that one is frozen.
   */
  evolve(row: Row | undefined, event: Event): Row | undefined;
}

export const PROJECTION_OPTIONS = {
  name: option.required({
    what: "a text of the characters A-Z a-z 0-9 . _ -",
    accepts: (value) => typeof value === "string" && /^[A-Za-z0-9._-]+$/.test(value),
  }),
  version: option.required(option.count),
  category: option.texts,
  type: option.texts,
  indexes: option.withPreset(option.list, []),
  key: option.callback,
  evolve: option.required(option.callback),
} satisfies option.OptionsOf<AnyProjection>;

/** Any projection, for code that does not use its types. */
// biome-ignore lint/suspicious/noExplicitAny: a projection's types are both parameters and results of its functions
export type AnyProjection = Projection<any, any, any>;

/** How far the feed is folded into rows, and from which copy of the log. */
export interface Folded {
  /** The id of the log; null: no log yet, or events that the device orders itself. */
  readonly log: string | null;
  /** Which copy of the log the device has: how often it was reset before. */
  readonly resets: number;
  /** The part of the store that the device followed. Events outside of it, which the device may still hold, are in no row. */
  readonly scope: Scope;
  /** The position up to which the log is folded in. */
  readonly position: number;
  /** Whether the rows have caught up once, and so can be queried. */
  readonly isReady: boolean;
}

export const UNFOLDED: Folded = { log: null, resets: 0, scope: null, position: 0, isReady: false };

/**
 * Where folding continues. Rows of another copy of the log, or of another part of the store, are discarded: the device may hold other
 * events before the position that is folded in.
 */
export function foldFrom(folded: Folded, { log, resets, scope }: Pick<Folded, "log" | "resets" | "scope">): FoldStart {
  const isOf = isOfCopy(folded, { log, resets }) && sameJson(folded.scope, scope);
  return isOf ? { start: folded, isAnew: false } : { start: { ...UNFOLDED, log, resets, scope }, isAnew: true };
}

/** Whether rows are of this copy of the log. Rows of another copy are folded from events that the device may no longer hold. */
export function isOfCopy(folded: Folded, { log, resets }: Pick<Folded, "log" | "resets">): boolean {
  return folded.log === log && isSameCopy(folded, { resets });
}

export interface FoldStart {
  readonly start: Folded;
  /** The stored rows are of another copy of the log, or of another part of the store, and are discarded. */
  readonly isAnew: boolean;
}

/** The keys of the rows that an event changes, each once. */
export function keysOf(projection: AnyProjection, event: { readonly streamId: string }): readonly string[] {
  if (projection.key === undefined) return [event.streamId];
  const keys: string | readonly string[] | undefined = projection.key(event);
  return keys === undefined ? [] : typeof keys === "string" ? [keys] : [...new Set(keys)];
}

/** The keys of the rows that the events change, each once. */
export function keysOfAll(projection: AnyProjection, events: Iterable<{ readonly streamId: string }>): Set<string> {
  const keys = new Set<string>();
  for (const event of events) for (const key of keysOf(projection, event)) keys.add(key);
  return keys;
}

/**
 * Folds events into rows.
 *
 * @param rows the stored rows of all keys that the events change; undefined: there is no row of the key
 * @param freezes whether `evolve` gets frozen rows
 * @returns the rows of the same keys after the events; undefined: there is no row of the key
 * @throws what `key` and `evolve` throw; ChangedInPlaceError if `evolve` changes a frozen row
 */
export function foldRows<Row>(
  projection: Projection<Row, never> & AnyProjection,
  rows: ReadonlyMap<string, Row | undefined>,
  events: Iterable<{ readonly streamId: string }>,
  freezes: boolean,
): Map<string, Row | undefined> {
  const folded = new Map(rows);
  for (const event of events) {
    for (const key of keysOf(projection, event)) folded.set(key, evolved(projection, folded.get(key), event, freezes));
  }
  return folded;
}

/** The row after an event. @throws what `foldRows` throws */
export function evolved<Row>(
  projection: Projection<Row, never> & AnyProjection,
  row: Row | undefined,
  event: unknown,
  freezes: boolean,
): Row | undefined {
  if (freezes) frozen(row);
  try {
    return projection.evolve(row, event);
  } catch (error) {
    throw inPlaceErrorOf(error, `evolve of the projection ${projection.name}`, [row, event], (args) => projection.evolve(...args));
  }
}

/** Which rows to find. With `index`, in the order of the index and then of their keys; without it, all rows in the order of their keys. */
export interface RowQuery<Index extends string = string> {
  /** One of the projection's indexes. Default: the key of a row. */
  readonly index?: Index;
  /** Only rows with this value. Default: all. */
  readonly equals?: string | number;
  /** The first value, inclusive. Default: from the lowest. */
  readonly from?: string | number;
  /** The last value, inclusive. Default: to the highest. */
  readonly to?: string | number;
  /** The order of the rows. Default: `forwards`. */
  readonly direction?: "forwards" | "backwards";
  /** The greatest number of rows. Default: all. */
  readonly limit?: number;
}

const place: option.Option = { what: "a text or a number", accepts: isPlace };

export const QUERY_OPTIONS = {
  index: option.text,
  equals: place,
  from: place,
  to: place,
  direction: option.direction,
  limit: option.count,
} satisfies option.OptionsOf<RowQuery>;

export interface FoundRow<Row> {
  readonly key: string;
  readonly row: Row;
}

/** @throws InvalidRequestError that names the part of the projection with a wrong form */
export function checkProjection(projection: AnyProjection): void {
  const { indexes } = option.completeOptions(projection, PROJECTION_OPTIONS, "projection.");
  for (const [i, index] of indexes.entries()) {
    // What IndexedDB reads as the name of a field, and not as a path into one.
    const isField = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u.test(index);
    if (!isField || indexes.indexOf(index) < i) {
      throw new InvalidRequestError(`An index must be a field of the row, be written as an identifier, and be listed once: ${index}.`, {
        field: "projection.indexes",
      });
    }
  }
}

/** @throws InvalidRequestError if the projection has no such index, or a part of the query has a wrong form */
export function checkRowQuery({ name, indexes = [] }: AnyProjection, query: RowQuery): void {
  const { index } = option.completeOptions(query, QUERY_OPTIONS);
  if (index !== undefined && !indexes.includes(index)) {
    throw new InvalidRequestError(`The projection ${name} has no index ${index}: add it to its indexes.`, { field: "index" });
  }
}

/** Whether the query's range is empty, because it ends before it begins. */
export function findsNothing({ from, to }: RowQuery): boolean {
  return from !== undefined && to !== undefined && compare(from, to) > 0;
}

/** Whether a row can be found by `value`: IndexedDB does not accept NaN as a key. */
function isPlace(value: unknown): value is string | number {
  return typeof value === "string" || (typeof value === "number" && !Number.isNaN(value));
}

/** The value by which a query orders the row; undefined if the query does not find it. */
function placeOf({ key, row }: FoundRow<unknown>, { index, equals, from, to }: RowQuery): string | number | undefined {
  const value: unknown = index === undefined ? key : (row as Readonly<Record<string, unknown>>)[index];
  if (!isPlace(value)) return undefined;
  if (equals !== undefined && value !== equals) return undefined;
  if (from !== undefined && compare(value, from) < 0) return undefined;
  if (to !== undefined && compare(value, to) > 0) return undefined;
  return value;
}

/** The order of IndexedDB's keys: numbers before strings, strings by their code units. */
function compare(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The rows that a query finds if some stored rows are replaced by others.
 *
 * @param stored the first stored rows that the query finds, in its order
 * @param isWhole whether these are all of them
 * @param others rows that replace the stored rows of their keys; undefined: there is no row of the key
 * @returns undefined if the stored rows that follow may be among the first `limit`
 */
export function overlaid<Row>(
  query: RowQuery,
  stored: readonly FoundRow<Row>[],
  isWhole: boolean,
  others: ReadonlyMap<string, Row | undefined>,
): FoundRow<Row>[] | undefined {
  const { limit = Number.POSITIVE_INFINITY, direction } = query;
  if (others.size === 0) return stored.slice(0, limit);
  const sign = direction === "backwards" ? -1 : 1;
  const order = (a: Placed<Row>, b: Placed<Row>) => sign * (compare(a.place, b.place) || compare(a.found.key, b.found.key));
  const placed = (found: FoundRow<Row>): Placed<Row>[] => {
    const place = placeOf(found, query);
    return place === undefined ? [] : [{ found, place }];
  };
  const read = stored.flatMap(placed);
  const last = read.at(-1);
  const kept = read.filter(({ found }) => !others.has(found.key));
  const laid = [...others].flatMap(([key, row]) => (row === undefined ? [] : placed({ key, row })));
  // What is behind the last stored row that was read may be behind others that were not.
  const known = [...kept, ...laid].filter((found) => isWhole || (last !== undefined && order(found, last) <= 0));
  const rows = known.sort(order).slice(0, limit);
  return isWhole || rows.length === limit ? rows.map(({ found }) => found) : undefined;
}

interface Placed<Row> {
  readonly found: FoundRow<Row>;
  readonly place: string | number;
}
