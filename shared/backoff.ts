/**
 * How long to wait before a retry. The wait is random, between 50 ms and a bound. The bound grows by a quarter with each failure in a
 * row, up to a longest one. The randomness spreads the retries over the whole wait, so that a thousand devices that lost the same
 * edge do not come back in the same second ("full jitter", Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * Why the bound grows by a quarter and does not double: while the bound grows by a factor g, the waits up to it, each half of its bound
 * on average, add up to g / (2g - 2) times the bound. With a quarter that is 2.5 times, so a wait is at most two fifths of the time
 * that the failures have lasted by then. An edge that was away for ten seconds is found again within four.
 */
import { boundedWait, retryWait } from "./wait.ts";

export interface Backoff {
  /** The bound of the first wait, in milliseconds. */
  readonly first: number;
  /** The longest bound, in milliseconds. */
  readonly longest: number;
}

/** The factor by which the bound grows with each failure in a row. */
const GROWTH = 1.25;
/** The shortest wait, in milliseconds. */
const LEAST = 50;

/**
 * How long to wait before the next try.
 *
 * @param failures in a row: 1 or more
 * @param random from 0 to below 1
 * @param retryAfter seconds that the other side asked for. At most five minutes of them are added to the wait. Default: 0
 * @returns milliseconds, as many as a timer can have
 */
export function backoff({ first, longest }: Backoff, failures: number, random: number, retryAfter = 0): number {
  const bound = Math.min(longest, first * GROWTH ** (failures - 1));
  return boundedWait(Math.max(LEAST, Math.round(bound * random)) + retryWait(retryAfter));
}
