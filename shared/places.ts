/** The places of events: positions of a log, or versions of a stream. */

/** Consecutive places. Both are inclusive. */
export interface Places {
  readonly first: number;
  readonly last: number;
}

/** How messages name them: e.g. `position 7`, or `positions 7 to 9`. */
export function placesOf(name: string, first: number, last: number): string {
  return first === last ? `${name} ${first}` : `${name}s ${first} to ${last}`;
}

export function isAmong(place: number, list: readonly Places[]): boolean {
  return list.some(({ first, last }) => place >= first && place <= last);
}

/** The places after one and up to another; none if there are none. */
export function behind(place: number, upTo: number): Places[] {
  return upTo > place ? [{ first: place + 1, last: upTo }] : [];
}

/** The parts of some places that are among others. */
export function inside({ first, last }: Places, others: readonly Places[]): Places[] {
  return others
    .map((other) => ({ first: Math.max(first, other.first), last: Math.min(last, other.last) }))
    .filter((part) => part.first <= part.last);
}

/** The parts of some places that are not among others. @param others in order, and apart from one another */
export function without({ first, last }: Places, others: readonly Places[]): Places[] {
  const parts: Places[] = [];
  let next = first;
  for (const other of inside({ first, last }, others)) {
    if (other.first > next) parts.push({ first: next, last: other.first - 1 });
    next = other.last + 1;
  }
  return [...parts, ...behind(next - 1, last)];
}

/** A list of places with one more place at its end. */
export function withPlace(list: readonly Places[], place: number): Places[] {
  const last = list.at(-1);
  if (last?.last === place - 1) return [...list.slice(0, -1), { first: last.first, last: place }];
  return [...list, { first: place, last: place }];
}
