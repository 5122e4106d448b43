/**
 * Access control: grants name stores, streams and actions, and everything that no grant names is denied. The same rule applies
 * to every way to append and to read, so that none of them allows more than another.
 */
import * as v from "valibot";
import { UnauthenticatedError } from "../errors.ts";
import { match } from "../wire/schema.ts";

/** `handle` allows commands to categories that the edge decides, and nothing else. */
export type Action = "read" | "append" | "handle" | "admin";

/**
 * `store` is a store's id, or `*` for all stores. `streams` are stream ids; a trailing `*` matches any ending. Unknown actions in
 * `can` grant nothing.
 */
export const grant = v.object({ store: v.string(), streams: v.array(v.string()), can: v.array(v.string()) });

export type Grant = v.InferOutput<typeof grant>;

/**
 * The streams of one store that a caller may reach, as ranges of ids. The ranges are in ascending order and do not touch. The
 * first id of a range is inclusive, the second exclusive.
 */
export type Reach = readonly (readonly [from: string, to: string])[];

/** Bounds before and after every stream id, because stream ids consist of `[A-Za-z0-9._:~-]`. */
const FIRST = "";
const LAST = "\x7f";

export const EVERYTHING: Reach = [[FIRST, LAST]];

/** @throws UnauthenticatedError if `value` is not a list of grants: a list that is understood in part could allow too much */
export function parseGrants(value: unknown): readonly Grant[] {
  const grants = match(v.array(grant), value);
  if (!grants.success) {
    throw new UnauthenticatedError("The grants of these credentials are not a list of { store, streams, can }: correct them.");
  }
  return grants.output;
}

/** The streams of a store on which the grants allow an action. */
export function reachOf(grants: readonly Grant[], action: Action, store: string): Reach {
  const granting = grants.filter((given) => (given.store === "*" || given.store === store) && given.can.includes(action));
  return union(granting.flatMap(({ streams }) => streams.map(rangeOf)));
}

/** @param pattern a stream id, or the beginning of stream ids followed by `*` */
function rangeOf(pattern: string): [string, string] {
  if (!pattern.endsWith("*")) return [pattern, `${pattern}\0`];
  const beginning = pattern.slice(0, -1);
  return [beginning, `${beginning}${LAST}`];
}

/** The streams of a category: the stream whose id is the category's name, and those whose ids are the name, a `-` and more. */
export function reachOfCategory(category: string): Reach {
  return [rangeOf(category), rangeOf(`${category}-*`)];
}

function union(ranges: readonly (readonly [string, string])[]): Reach {
  const united: [string, string][] = [];
  for (const [from, to] of ranges.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const last = united.at(-1);
    if (last === undefined || from > last[1]) united.push([from, to]);
    else if (to > last[1]) last[1] = to;
  }
  return united;
}

export function intersection(a: Reach, b: Reach): Reach {
  return a.flatMap(([from, to]) =>
    b.flatMap(([start, end]) => {
      const [, later = LAST] = [from, start].toSorted();
      const [earlier = FIRST] = [to, end].toSorted();
      return later < earlier ? [[later, earlier] as const] : [];
    }),
  );
}

export function isReached(reach: Reach, streamId: string): boolean {
  let low = 0;
  let high = reach.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from = FIRST, to = FIRST] = reach[middle] ?? [];
    if (streamId < from) high = middle - 1;
    else if (streamId >= to) low = middle + 1;
    else return true;
  }
  return false;
}

/** Whether some stream of a category can be in reach. */
export function mayReach(reach: Reach, category: string): boolean {
  return isEverything(reach) || intersection(reach, reachOfCategory(category)).length > 0;
}

/** The ids of the streams in reach; undefined if the reach contains a range of streams. */
export function namedStreamsOf(reach: Reach): readonly string[] | undefined {
  return reach.every(([from, to]) => to === `${from}\0`) ? reach.map(([from]) => from) : undefined;
}

export function isEverything(reach: Reach): boolean {
  return reach.length === 1 && reach[0]?.[0] === FIRST && reach[0][1] === LAST;
}
