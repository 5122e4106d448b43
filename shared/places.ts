/** How messages name the places of events: positions of a log, or versions of a stream. */

/** E.g. `position 7`, or `positions 7 to 9`. */
export function placesOf(name: string, first: number, last: number): string {
  return first === last ? `${name} ${first}` : `${name}s ${first} to ${last}`;
}
