/** Milliseconds until an object that could not send to another one what it has for it tries again, by its alarm. */
const FIRST = 10_000;
const LONGEST = 300_000;

/** @param failures in a row; 0 for the first check after a burst of writes */
export function alarmDelay(failures: number): number {
  return Math.min(FIRST * 2 ** failures, LONGEST);
}
