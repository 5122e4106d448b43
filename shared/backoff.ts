/**
 * How long to wait before something that failed is tried again: longer by a quarter each time, up to a bound, and spread over all of
 * it, so that a thousand devices that lost the same edge don't come back in the same second ("full jitter", Brooker,
 * "Exponential Backoff And Jitter", 2015). By a quarter and not doubled: while a bound grows by g, the waits before it, half of theirs
 * on average, sum up to g / (2g - 2) of it. So a wait is at most two fifths of the time that it has been failing by then: an edge
 * that was away for ten seconds is found again within four.
 */
export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
}

const GROWTH = 1.25;
/** Nothing is tried again sooner, in milliseconds. */
const LEAST = 50;

/**
 * @param failures in a row: 1 or more
 * @param random from 0 to below 1
 * @param asked milliseconds that the other side asked for
 * @returns milliseconds
 */
export function backoff({ first, longest }: Backoff, failures: number, random: number, asked = 0): number {
  const bound = Math.min(longest, first * GROWTH ** (failures - 1));
  return Math.max(LEAST, Math.round(bound * random)) + asked;
}
