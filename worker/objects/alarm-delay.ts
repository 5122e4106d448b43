/** When an object that could not tell another one what it has to looks again, by its alarm. Milliseconds. */
const FIRST = 10_000;
const LONGEST = 300_000;

/** @param failures in a row: 0 for the first look behind a burst of writes */
export function alarmDelay(failures: number): number {
  return Math.min(FIRST * 2 ** failures, LONGEST);
}
