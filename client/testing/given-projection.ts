/**
 * Given what happened, these are the rows of a projection.
 *
 *     givenProjection(projection, ...events).thenRows({ key: row, … })
 *
 * Events that its filter leaves out touch no row, as in a store. They are folded twice: an `evolve` that looks at a clock, or changes the
 * row that it was given, comes to something else.
 */
import { dequal } from "dequal";
import { type AnyProjection, foldRows, type IndexField, keysOfAll, type Projection } from "../../shared/device/projection.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { isObject, type Json } from "../../shared/json.ts";
import { messageOf } from "../../shared/thrown.ts";
import { difference, listed } from "./story.ts";

export interface GivenProjection<Row> {
  /** Exactly these rows, by their keys. */
  thenRows(rows: Readonly<Record<string, Row>>): void;
}

/** @param events in position order; of what a store adds to them, what the projection reads */
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
        fail("folded twice, it came to two things; evolve and key must be pure.", difference(told(folded), told(again), "then"));
      const wanted = stored(projection.name, expected);
      if (!dequal(wanted, folded)) fail("there are other rows.", difference(told(wanted), told(folded), "folded"));
    },
  };
}

/** Fields of a recorded event that a test may leave out. */
export type Added = Exclude<keyof RecordedEvent, "streamId" | "type" | "data">;

/** Of what a store adds to an event, what the projection reads. */
export type GivenEvent<Event> = Event extends unknown
  ? Omit<Event, Added> & Partial<Pick<Event, Added & keyof Event>> & Pick<RecordedEvent, "streamId" | "type">
  : never;

type Given = Pick<RecordedEvent, "streamId" | "type">;

function rowsOf(projection: AnyProjection, events: readonly Given[]): Rows {
  const { stream, content } = readerFilter(projection);
  // The filter reads the type alone.
  const passed = events.filter((event) => stream(event.streamId) && (content?.(event as never) ?? true));
  const keys = [...keysOfAll(projection, passed)].sort();
  const rows = foldRows(projection, new Map(keys.map((key) => [key, undefined])), structuredClone(passed));
  return stored(projection.name, Object.fromEntries([...rows].filter(([, row]) => row !== undefined)));
}

type Rows = Readonly<Record<string, unknown>>;

/** As a store holds them; a field of a row that is undefined is as good as none. @throws TypeError for a row that no store can hold */
function stored(name: string, rows: Rows): Rows {
  try {
    return structuredClone(withoutUndefined(rows)) as Rows;
  } catch (cause) {
    throw new TypeError(`${name}: a row can't be stored: ${messageOf(cause)}`, { cause });
  }
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutUndefined(field)]));
}

/** For people: what JSON can't say is said by its kind. */
function told(rows: Rows): Json {
  const text = JSON.stringify(rows, (_, value: unknown) => {
    if (value instanceof Map) return { Map: [...value] };
    if (value instanceof Set) return { Set: [...value] };
    return typeof value === "bigint" ? `${value}n` : value;
  });
  return JSON.parse(text);
}
