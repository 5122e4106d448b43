/** How often somebody may ask, by the platform's own counters: https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ */
import { TooManyRequestsError } from "../../shared/errors.ts";
import type { EdgeEnv } from "../env.ts";
import { logFault } from "../report/journal.ts";

/** Seconds. Counters begin anew after 10 or 60, and the binding does not tell after which. */
const RETRY_AFTER = 10;

/**
 * Counts a request of an actor to a store, or of an address where nobody is known. Asked before any object is woken: what is refused
 * costs none of them a request. A limiter that fails lets everybody in, since it guards what works without it.
 *
 * @throws TooManyRequestsError where the deployment binds a limiter and it says so
 */
export async function countRequest(request: Request, { RATE_LIMITER }: EdgeEnv, store: string, actor: string | null): Promise<void> {
  if (RATE_LIMITER === undefined) return;
  const who = actor === null ? `address:${request.headers.get("cf-connecting-ip") ?? "unknown"}` : `actor:${actor}`;
  const { success } = await RATE_LIMITER.limit({ key: `${store}/${who}` }).catch((error: unknown) => {
    logFault("rate-limit", error);
    return { success: true };
  });
  if (!success) throw new TooManyRequestsError(undefined, { retryAfter: RETRY_AFTER });
}
