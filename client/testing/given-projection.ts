/**
 * Given what happened, these are the rows of a projection.
 *
 *     givenProjection(projection, ...events).thenRows({ key: row, … })
 *
 * Events that its filter leaves out touch no row, as in a store. They are folded twice: an `evolve` that looks at a clock, or changes the
 * row that it was given, comes to something else.
 */
import { readerFilter } from "../../shared/feed-filter.ts";
import { type Json, sameJson } from "../../shared/json.ts";
import { type AnyProjection, foldRows, type IndexField, keysOfAll, type Projection } from "../../shared/projection.ts";
import { difference, listed } from "./story.ts";

export interface GivenProjection<Row> {
  /** Exactly these rows, by their keys. */
  thenRows(rows: Readonly<Record<string, Row>>): void;
}

/** @param events in position order; of what a store adds to them, what the projection reads */
export function givenProjection<Row, Event, Index extends IndexField<Row>>(
  projection: Projection<Row, Event, Index>,
  ...events: readonly (NoInfer<Event> & Given)[]
): GivenProjection<Row> {
  const fail = (what: string, comparison: string): never => {
    throw new Error(`${projection.name}: ${what}\n\ngiven${listed(events)}\nthen${comparison}`);
  };
  return {
    thenRows(expected) {
      const folded = rowsOf(projection, events);
      const again = rowsOf(projection, events);
      if (!sameJson(folded, again))
        fail("folded twice, it came to two things; evolve and key must be pure.", difference(folded, again, "then"));
      const wanted = asTold(projection.name, expected);
      if (!sameJson(wanted, folded)) fail("there are other rows.", difference(wanted, folded, "folded"));
    },
  };
}

interface Given {
  readonly streamId: string;
  readonly type: string;
}

function rowsOf(projection: AnyProjection, events: readonly Given[]): Json {
  const { stream, content } = readerFilter(projection);
  // The filter reads the type alone.
  const passed = events.filter((event) => stream(event.streamId) && (content?.(event as never) ?? true));
  const keys = [...keysOfAll(projection, passed)].sort();
  const rows = foldRows(projection, new Map(keys.map((key) => [key, undefined])), structuredClone(passed));
  return asTold(projection.name, Object.fromEntries([...rows].filter(([, row]) => row !== undefined)));
}

/** @throws TypeError for a row that no store can hold */
function asTold(name: string, rows: Readonly<Record<string, unknown>>): Json {
  try {
    return JSON.parse(JSON.stringify(structuredClone(rows)));
  } catch (cause) {
    throw new TypeError(`${name}: a row can't be stored: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
