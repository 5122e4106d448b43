/** How worlds name events, so that a story can be read, and so that a commit is known again whatever ids its events have by now. */

/** An id as apps make them: a UUID that tells who made it, and its number. */
export function eventId(party: string, number: number): string {
  const [high, low] = [hash(party), hash(`${party}/`) & 0xffff];
  return `${hex(high, 8)}-${hex(low, 4)}-4000-8000-${hex(number, 12)}`;
}

/**
 * What an event is known by: apps write it into the event's data. A rule that replaces a commit's events, and a decider that decides
 * again, keep it, so it tells which commit an event comes from.
 */
export function keyOf({ data }: { readonly data: unknown }): string {
  return typeof data === "object" && data !== null && "key" in data ? String(data.key) : "";
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0").slice(-digits);
}

/** FNV-1a. */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return bits;
}
