/** How long a timer may wait, and how long another side may make us wait. Every wait that is computed goes through `boundedWait`. */

/**
 * The longest wait that a timer can have, in milliseconds: almost 25 days. A timer that is set for longer goes off at once:
 * https://developer.mozilla.org/en-US/docs/Web/API/Window/setTimeout#maximum_delay_value
 */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The longest wait that a `Retry-After` can ask for, in milliseconds. If the other side wants more, it is asked again after this. */
const LONGEST_RETRY_AFTER = 300_000;

/** A wait that a timer can have, in milliseconds. NaN and negative numbers are no wait. */
export function boundedWait(milliseconds: number, longest = LONGEST_TIMER): number {
  return milliseconds > 0 ? Math.min(milliseconds, longest) : 0;
}

/** The wait that the other side asks for, in milliseconds. @param seconds its `Retry-After`. Default: 0 */
export function retryWait(seconds = 0): number {
  return boundedWait(seconds * 1000, LONGEST_RETRY_AFTER);
}

/**
 * The seconds of a `Retry-After` header, which has seconds or a time; undefined if it asks for no wait.
 *
 * @param text null if there is no such header
 * @param now in milliseconds since 1970
 */
export function parseRetryAfter(text: string | null, now: number): number | undefined {
  const seconds = Number(text);
  const wait = Number.isNaN(seconds) ? (Date.parse(text ?? "") - now) / 1000 : seconds;
  return wait > 0 ? wait : undefined;
}

/** How long a request may take, in milliseconds; undefined if a `timeout` is none: 0 or Infinity. */
export function timeLimit(timeout: number): number | undefined {
  return timeout > 0 && timeout < Number.POSITIVE_INFINITY ? timeout : undefined;
}
