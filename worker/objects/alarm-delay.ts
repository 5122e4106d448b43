/** Milliseconds until an object that could not send to another one what it has for it tries again, by its alarm. */
const FIRST = 10_000;
const LONGEST = 300_000;

/** @param failures in a row; 0 for the first check after a burst of writes */
export function alarmDelay(failures: number): number {
  return Math.min(FIRST * 2 ** failures, LONGEST);
}

/** The platform may run an alarm a minute late, in milliseconds. */
const LATEST = 120_000;

/**
 * Whether an alarm was lost: its time has passed, and it did not go off. Such an alarm stays set for ever, as if it was still to come:
 * https://github.com/cloudflare/cloudflare-docs/issues/18324. An object that finds one when it wakes sets another.
 *
 * @param at when it was to go off, in milliseconds since 1970
 */
export function isLostAlarm(at: number, now: number): boolean {
  return at < now - LATEST;
}
