/**
 * Projections: rows folded from the feed, each by events of its own.
 *
 *     event ──► keysOf ──► row of each key ──► evolve ──► row, or none
 *
 * A row depends on the events of its key alone, in their order. So confirmed events are folded into stored rows page by page, and pending
 * ones over the few rows that they touch, in memory: whatever becomes of them, there is nothing stored to take back.
 */

import { InvalidRequestError } from "../errors.ts";
import type { RecordedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import { parseCount } from "../limits.ts";
import { isOrdinal } from "../order.ts";
import type { Scope } from "./replica.ts";
import { isSameCopy } from "./same-copy.ts";

/** Fields of a row by which rows can be found: they may hold a text or a number. */
export type IndexField<Row> = {
  [Field in keyof Row & string]-?: [Extract<Row[Field], string | number>] extends [never] ? never : Field;
}[keyof Row & string];

/** `Index` narrows what queries may name: left out, any field that can be one. */
export interface Projection<Row, Event = RecordedEvent, Index extends IndexField<Row> = IndexField<Row>> {
  /** Of `[A-Za-z0-9._-]`, unique in the app. */
  readonly name: string;
  /** A whole number from 1, raised when `key`, `evolve`, the filter or the indexes change: it is built anew then. */
  readonly version: number;
  /** Which events it is folded from. Default: all. */
  readonly category?: string | readonly string[];
  readonly type?: string | readonly string[];
  /** Fields of a row by which rows are found: they hold texts or numbers; a row without one is not found by it. */
  readonly indexes?: readonly Index[];
  /** The rows that an event has to do with. Default: one, by the id of its stream. */
  key?(event: Event): string | readonly string[] | undefined;
  /** The row with the event; nothing where there is no row with it. Pure, as a decider's. */
  evolve(row: Row | undefined, event: Event): Row | undefined;
}

/** Any projection, where nothing is done with its types. */
// biome-ignore lint/suspicious/noExplicitAny: the types of a projection stand on both sides of its functions
export type AnyProjection = Projection<any, any, any>;

/** How far the feed is folded into rows. */
export interface Folded {
  /** The log that it is folded from; null: of none, or of what the device orders itself. */
  readonly log: string | null;
  /** The device's copy of it. */
  readonly resets: number;
  /** The part of the store that the device followed: events of others, which it may hold still, are in no row. */
  readonly scope: Scope;
  readonly position: number;
  /** It has caught up once: it answers. */
  readonly isReady: boolean;
}

export const UNFOLDED: Folded = { log: null, resets: 0, scope: null, position: 0, isReady: false };

/**
 * Where folding goes on. Of another copy of the log, or of another part of the store, no row is kept: what the device holds besides stands
 * before what is folded already.
 */
export function foldFrom(folded: Folded, { log, resets, scope }: Pick<Folded, "log" | "resets" | "scope">): FoldStart {
  const isOf = isOfCopy(folded, { log, resets }) && sameJson(folded.scope, scope);
  return isOf ? { start: folded, isAnew: false } : { start: { ...UNFOLDED, log, resets, scope }, isAnew: true };
}

/** Rows of another copy of the log are of events that the device may hold no more. */
export function isOfCopy(folded: Folded, { log, resets }: Pick<Folded, "log" | "resets">): boolean {
  return folded.log === log && isSameCopy(folded, { resets });
}

export interface FoldStart {
  readonly start: Folded;
  /** What is stored is of another history, or of another part of the store: it is let go of. */
  readonly isAnew: boolean;
}

export function keysOf(projection: AnyProjection, event: { readonly streamId: string }): readonly string[] {
  if (projection.key === undefined) return [event.streamId];
  const keys: string | readonly string[] | undefined = projection.key(event);
  return keys === undefined ? [] : typeof keys === "string" ? [keys] : [...new Set(keys)];
}

/** The keys that events touch. */
export function keysOfAll(projection: AnyProjection, events: Iterable<{ readonly streamId: string }>): Set<string> {
  const keys = new Set<string>();
  for (const event of events) for (const key of keysOf(projection, event)) keys.add(key);
  return keys;
}

/**
 * @param rows as they are stored, of all the keys that the events touch
 * @returns the same keys, as they are with the events; undefined where there is no row
 */
export function foldRows<Row>(
  projection: Projection<Row, never> & AnyProjection,
  rows: ReadonlyMap<string, Row | undefined>,
  events: Iterable<{ readonly streamId: string }>,
): Map<string, Row | undefined> {
  const folded = new Map(rows);
  for (const event of events) {
    for (const key of keysOf(projection, event)) folded.set(key, projection.evolve(folded.get(key), event));
  }
  return folded;
}

/** Which rows, in the order of an index and of their keys; all in the order of their keys where no index is named. */
export interface RowQuery<Index extends string = string> {
  readonly index?: Index;
  readonly equals?: string | number;
  /** Inclusive. */
  readonly from?: string | number;
  readonly to?: string | number;
  readonly direction?: "forwards" | "backwards";
  /** Default: all. */
  readonly limit?: number;
}

export interface FoundRow<Row> {
  readonly key: string;
  readonly row: Row;
}

/** @throws InvalidRequestError that says which part of it is not of its form */
export function checkProjection({ name, version, indexes = [] }: AnyProjection): void {
  const fail = (message: string, field: string) => {
    throw new InvalidRequestError(message, { field });
  };
  if (!/^[A-Za-z0-9._-]+$/.test(name) || !isOrdinal(version) || version < 1) {
    fail("A projection has a name of A-Z a-z 0-9 . _ - and a version from 1.", "projection");
  }
  for (const [i, index] of indexes.entries()) {
    // What IndexedDB takes for the name of a field, and not for a path into it.
    const isField = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u.test(index);
    if (!isField || indexes.indexOf(index) < i) {
      fail(`An index is named by a field of the row, written as an identifier, and named once: ${index}.`, "projection.indexes");
    }
  }
}

/** @throws InvalidRequestError where the projection has no such index, or a part of the query is not of its form */
export function checkRowQuery({ name, indexes = [] }: AnyProjection, query: RowQuery): void {
  const { index, limit, direction } = query;
  if (index !== undefined && !indexes.includes(index)) throw new InvalidRequestError(`${name} has no index ${index}.`, { field: "index" });
  for (const field of ["equals", "from", "to"] as const) {
    const value: unknown = query[field];
    if (value !== undefined && !isPlace(value)) throw new InvalidRequestError(`${field} is a text or a number.`, { field });
  }
  parseCount(limit, "limit");
  if (direction !== undefined && direction !== "forwards" && direction !== "backwards") {
    throw new InvalidRequestError('A direction is "forwards" or "backwards".', { field: "direction" });
  }
}

/** Its range has no end behind its beginning. */
export function findsNothing({ from, to }: RowQuery): boolean {
  return from !== undefined && to !== undefined && compare(from, to) > 0;
}

/** What a row can be found by: IndexedDB takes no NaN for a key. */
function isPlace(value: unknown): value is string | number {
  return typeof value === "string" || (typeof value === "number" && !Number.isNaN(value));
}

/** By what a row is ordered in a query; undefined where the query does not find it. */
function placeOf({ key, row }: FoundRow<unknown>, { index, equals, from, to }: RowQuery): string | number | undefined {
  const value: unknown = index === undefined ? key : (row as Readonly<Record<string, unknown>>)[index];
  if (!isPlace(value)) return undefined;
  if (equals !== undefined && value !== equals) return undefined;
  if (from !== undefined && compare(value, from) < 0) return undefined;
  if (to !== undefined && compare(value, to) > 0) return undefined;
  return value;
}

/** As IndexedDB orders keys: numbers before texts, texts by their code units. */
function compare(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The rows that a query finds, with other rows in the place of some.
 *
 * @param stored what the query finds among the stored rows, in its order, at least as many as it wants and as there are others
 * @param others rows that stand for the stored ones of their keys; undefined: there is none
 */
export function overlaid<Row>(
  query: RowQuery,
  stored: readonly FoundRow<Row>[],
  others: ReadonlyMap<string, Row | undefined>,
): FoundRow<Row>[] {
  const { limit = Number.POSITIVE_INFINITY, direction } = query;
  if (others.size === 0) return stored.slice(0, limit);
  const kept = stored.filter(({ key }) => !others.has(key));
  const laid = [...others].flatMap(([key, row]) => (row === undefined ? [] : [{ key, row }]));
  const sign = direction === "backwards" ? -1 : 1;
  return [...kept, ...laid]
    .flatMap((found) => {
      const place = placeOf(found, query);
      return place === undefined ? [] : [{ found, place }];
    })
    .sort((a, b) => sign * (compare(a.place, b.place) || compare(a.found.key, b.found.key)))
    .slice(0, limit)
    .map(({ found }) => found);
}
