/** Digits of the longest version or position. */
const DIGITS = String(Number.MAX_SAFE_INTEGER).length;

/** A version or a position as a key of an object's key-value store, which sorts keys as texts. */
export function ordinalKey(ordinal: number): string {
  return String(ordinal).padStart(DIGITS, "0");
}
