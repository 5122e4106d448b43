/**
 * How long to wait before something that failed is tried again: longer by half each time, up to a bound, and spread over all of
 * it, so that a thousand devices that lost the same edge don't come back in the same second ("full jitter", Brooker,
 * "Exponential Backoff And Jitter", 2015). By half and not doubled: then a wait is at most about as long as it has been failing, and
 * an edge that was away for some seconds is found again within as many.
 */
export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
}

const GROWTH = 1.5;
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
