/**
 * Limits the requests of a caller with the platform's own counters:
 * https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/
 */
import { callerOf } from "../../shared/edge/callers.ts";
import { TooManyRequestsError } from "../../shared/errors.ts";
import type { EdgeEnv } from "../env.ts";
import { logFault } from "../report/journal.ts";

/** Seconds. Counters restart after 10 or 60 seconds, and the binding does not say which. */
const RETRY_AFTER = 10;

/**
 * Counts a request of a caller to a store. To be called before any object wakes, so that a rejected
 * request costs no object a request. If the limiter fails, everybody is let in, since the edge works without a limiter too.
 *
 * @throws TooManyRequestsError if the deployment binds a limiter and the caller is above its limit
 */
export async function countRequest(request: Request, { RATE_LIMITER }: EdgeEnv, store: string, actor: string | null): Promise<void> {
  if (RATE_LIMITER === undefined) return;
  const { success } = await RATE_LIMITER.limit({ key: `${store}/${callerWith(request.headers, actor)}` }).catch((error: unknown) => {
    logFault("rate-limit", error);
    return { success: true };
  });
  if (!success) throw new TooManyRequestsError(undefined, { retryAfter: RETRY_AFTER });
}

/** The name by which the caller of a request with these headers is counted. */
export function callerWith(headers: Headers, actor: string | null): string {
  return callerOf(actor, headers.get("cf-connecting-ip"));
}
