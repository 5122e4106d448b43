/**
 * The structured clone of a value, with a fast path for what JSON can hold: an object that such a value holds twice is copied twice.
 *
 * @throws DOMException a `DataCloneError`, as the platform does
 */
export function cloneOf<T>(value: T): T {
  return isPlain(value) ? copy(value) : structuredClone(value);
}

/** The depth from which on a value is left to the platform, which also knows values that contain themselves. */
const DEEPEST = 64;

/** Whether a value is made of plain objects, arrays without holes or further properties, and primitives. */
function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== "object") return typeof value !== "function" && typeof value !== "symbol";
  if (value === null) return true;
  if (depth > DEEPEST) return false;
  if (Array.isArray(value)) return Object.keys(value).length === value.length && value.every((each) => isPlain(each, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) if (key === "__proto__" || !isPlain(value[key as keyof typeof value], depth + 1)) return false;
  return true;
}

/** @param value is plain */
function copy<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  const copied: Record<string, unknown> = {};
  for (const key in value) copied[key] = copy(value[key]);
  return copied as T;
}
