/**
 * How long to wait before something that failed is tried again. Doubled each time, up to a bound, and spread over all of
 * it, so that a thousand devices that lost the same edge don't come back in the same second ("full jitter", Brooker,
 * "Exponential Backoff And Jitter", 2015).
 */
export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
}

/** Nothing is tried again sooner, in milliseconds. */
const LEAST = 50;

/**
 * @param failures in a row: 1 or more
 * @param random from 0 to below 1
 * @param asked milliseconds that the other side asked for
 * @returns milliseconds
 */
export function backoff({ first, longest }: Backoff, failures: number, random: number, asked = 0): number {
  const bound = Math.min(longest, first * 2 ** Math.min(failures - 1, 30));
  return Math.max(LEAST, Math.round(bound * random)) + asked;
}
