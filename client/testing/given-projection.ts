/**
 * Tests a projection: given these events, it has these rows.
 *
 *     givenProjection(projection, ...events).thenRows({ key: row, … })
 *
 * Events that the projection's filter excludes change no row, as in a store. Rows and events are frozen, so
 * that an `evolve` that changes them in place throws ChangedInPlaceError. The events are folded twice. An `evolve` that reads a clock gives
 * another result the second time, and fails the test.
 */
import { dequal } from "dequal";
import { frozen } from "../../shared/decider/frozen.ts";
import {
  type AnyProjection,
  checkProjection,
  foldRows,
  type IndexField,
  keysOfAll,
  type Projection,
} from "../../shared/device/projection.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { isObject, type Json } from "../../shared/json.ts";
import { messageOf } from "../../shared/thrown.ts";
import { difference, listed } from "./story.ts";

export interface GivenProjection<Row> {
  /** Passes if the projection has exactly these rows, by key. @throws Error that shows the difference */
  thenRows(rows: Readonly<Record<string, Row>>): void;
}

/** @param events in position order. Of the fields that a store adds to an event, only those that the projection reads are needed */
export function givenProjection<Row, Event, Index extends IndexField<Row>>(
  projection: Projection<Row, Event, Index>,
  ...events: readonly GivenEvent<NoInfer<Event>>[]
): GivenProjection<Row> {
  const fail = (what: string, comparison: string): never => {
    throw new Error(`${projection.name}: ${what}\n\ngiven${listed(events)}\nthen${comparison}`);
  };
  return {
    thenRows(expected) {
      const folded = rowsOf(projection, events);
      const again = rowsOf(projection, events);
      if (!dequal(folded, again))
        fail(
          "folding the same events twice gave different rows. evolve and key must be pure.",
          difference(toJson(folded), toJson(again), "then"),
        );
      const wanted = stored(projection.name, expected);
      if (!dequal(wanted, folded)) fail("the rows are not the expected ones.", difference(toJson(wanted), toJson(folded), "folded"));
    },
  };
}

/** Fields of a recorded event that a test may leave out. */
export type Added = Exclude<keyof RecordedEvent, "streamId" | "type" | "data">;

/** An event as a test gives it: of the fields that a store adds, only those that the projection reads. */
export type GivenEvent<Event> = Event extends unknown
  ? Omit<Event, Added> & Partial<Pick<Event, Added & keyof Event>> & Pick<RecordedEvent, "streamId" | "type">
  : never;

type Given = Pick<RecordedEvent, "streamId" | "type">;

function rowsOf(projection: AnyProjection, events: readonly Given[]): Rows {
  checkProjection(projection);
  const { stream, content } = readerFilter(projection);
  // The filter reads only the event's type.
  const passed = events.filter((event) => stream(event.streamId) && (content?.(event as never) ?? true));
  const keys = [...keysOfAll(projection, passed)].sort();
  const rows = foldRows(projection, new Map(keys.map((key) => [key, undefined])), frozen(structuredClone(passed)), true);
  return stored(projection.name, Object.fromEntries([...rows].filter(([, row]) => row !== undefined)));
}

type Rows = Readonly<Record<string, unknown>>;

/** The rows as a store holds them, without fields that are undefined. @throws TypeError for a row that a store can't hold */
function stored(name: string, rows: Rows): Rows {
  try {
    return structuredClone(withoutUndefined(rows)) as Rows;
  } catch (cause) {
    throw new TypeError(`${name}: a row can't be stored in IndexedDB: ${messageOf(cause)}`, { cause });
  }
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutUndefined(field)]));
}

/** The rows as JSON to show to people. A value that JSON has no form for is shown with its kind. */
function toJson(rows: Rows): Json {
  const text = JSON.stringify(rows, (_, value: unknown) => {
    if (value instanceof Map) return { Map: [...value] };
    if (value instanceof Set) return { Set: [...value] };
    return typeof value === "bigint" ? `${value}n` : value;
  });
  return JSON.parse(text);
}
