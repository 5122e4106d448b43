/**
 * When the edge fetches the public keys that verify tokens, and what it does while they can't be fetched.
 *
 *     age of the keys   0 ───── fresh ───── 1 min ────── trusted ────── 1 h ───── not used
 *                       a token is                  used while a fetch is under way,
 *                       verified with them          and in the pause after one that failed
 *
 * So at most one fetch is under way, none is sent in the pause after a failure, and tokens that name an unknown key cause one fetch in
 * `UNKNOWN_PAUSE` at most, however many there are.
 */

/** Milliseconds that fetched keys are used without another fetch: a withdrawn key is trusted that much longer. */
export const FRESH = 60_000;
/** Milliseconds that fetched keys are used at most, if they can't be fetched again. */
export const TRUSTED = 3_600_000;
/** Milliseconds without another fetch after one that failed. */
export const FAILURE_PAUSE = 10_000;
/** Milliseconds after a fetch before a token that names an unknown key causes another one. */
export const UNKNOWN_PAUSE = 30_000;
/** Milliseconds that a fetch may take. One that takes longer has failed. */
export const FETCH_TIME = 5_000;
/**
 * Milliseconds after which a fetch that has neither ended nor failed is gone: the platform ended it with the request that began it. It is more
 * than `FETCH_TIME`, so that the failure of a fetch is known to all before one of them takes it for gone.
 */
export const GONE = 6_000;

/** What is known of the keys of one address. Times are in milliseconds since 1970. */
export interface KeySetFacts {
  readonly now: number;
  /** When the keys were fetched; undefined if they were not. */
  readonly fetchedAt: number | undefined;
  /** When the last fetch failed; undefined if it did not. */
  readonly failedAt: number | undefined;
  /** When the fetch under way began; undefined if none is. */
  readonly fetchingSince: number | undefined;
}

export type KeySetDecision =
  | { readonly kind: "use" }
  /** If the fetch fails, decide again. */
  | { readonly kind: "fetch" }
  /** For the fetch under way, and decide again. */
  | { readonly kind: "wait" }
  /** The keys can't be fetched, and there are none that may be used. */
  | { readonly kind: "unavailable"; readonly retryAfterMs: number };

/** @param isUnknown whether the token names a key that the fetched keys do not have: it may be a new one */
export function decideKeySet({ now, fetchedAt, failedAt, fetchingSince }: KeySetFacts, isUnknown: boolean): KeySetDecision {
  const age = fetchedAt === undefined ? Number.POSITIVE_INFINITY : now - fetchedAt;
  if (age < (isUnknown ? UNKNOWN_PAUSE : FRESH)) return { kind: "use" };
  const mayUse = !isUnknown && age < TRUSTED;
  if (fetchingSince !== undefined && now - fetchingSince < GONE) return { kind: mayUse ? "use" : "wait" };
  const pause = failedAt === undefined ? 0 : failedAt + FAILURE_PAUSE - now;
  if (pause <= 0) return { kind: "fetch" };
  return mayUse ? { kind: "use" } : { kind: "unavailable", retryAfterMs: pause };
}
