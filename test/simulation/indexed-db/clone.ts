/**
 * Copies of values, as they are stored and read. `structuredClone` of Node costs 2 µs and more, so plain data is copied here: strings,
 * numbers, booleans, null, undefined, arrays, and objects without a class. Everything else is copied by `structuredClone`.
 *
 * One thing is lost that a structured clone keeps, since nothing depends on it: the identity of an object that occurs twice within one
 * value. No fault can strike here: a browser never returns another value than was stored.
 */

/** Says that a value is no plain data. */
const OTHER = Symbol("other");
/** Deeper data, or data that contains itself, is left to `structuredClone`. */
const DEEPEST = 60;

/** @throws DataCloneError if the value can't be copied, e.g. a function */
export function cloneOf(value: unknown): unknown {
  const copy = plain(value, 0);
  return copy === OTHER ? structuredClone(value) : copy;
}

function plain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "object":
      if (value === null) return null;
      if (depth > DEEPEST) return OTHER;
      return Array.isArray(value) ? plainArray(value, depth + 1) : plainObject(value as Record<string, unknown>, depth + 1);
    default:
      return OTHER;
  }
}

function plainArray(items: readonly unknown[], depth: number): unknown {
  if (Object.keys(items).length !== items.length) return OTHER; // it has holes, or properties besides its elements
  const copies: unknown[] = [];
  for (const item of items) {
    const copy = plain(item, depth);
    if (copy === OTHER) return OTHER;
    copies.push(copy);
  }
  return copies;
}

function plainObject(value: Record<string, unknown>, depth: number): unknown {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return OTHER;
  const copies: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    if (name === "__proto__") return OTHER;
    const copy = plain(value[name], depth);
    if (copy === OTHER) return OTHER;
    copies[name] = copy;
  }
  return copies;
}
