/** As long as the longest version or position. */
const DIGITS = String(Number.MAX_SAFE_INTEGER).length;

/** A version or a position as a key of an object's store, where keys sort as texts do. */
export function ordinalKey(ordinal: number): string {
  return String(ordinal).padStart(DIGITS, "0");
}
