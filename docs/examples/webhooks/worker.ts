/** Webhooks: each event of a store is posted to an address, signed, until the receiver has taken it. */
import { type ConfirmedEvent, createEdge, type EdgeEnv, type HandlerContext, HandlerError } from "headwater/edge";
import { signatureOf } from "./signature.ts";

export interface Env extends EdgeEnv {
  /** Where to. */
  readonly WEBHOOK_URL: string;
  /** 32 bytes or more, known to the receiver too: `npx wrangler secret put WEBHOOK_SECRET`. */
  readonly WEBHOOK_SECRET: string;
}

/**
 * One after the other, so that they arrive in order. Where one is refused, those of the batch before it are posted again with it: the
 * receiver knows them by their `webhook-id`, which is the event's.
 */
export async function post(events: readonly ConfirmedEvent[], env: Env, { signal }: HandlerContext): Promise<void> {
  for (const event of events) {
    const body = JSON.stringify(event);
    const timestamp = Math.floor(Date.now() / 1000);
    const response = await fetch(env.WEBHOOK_URL, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": await signatureOf({ id: event.id, timestamp, body }, env.WEBHOOK_SECRET),
      },
      body,
      redirect: "manual",
      signal,
    });
    // A body that nobody reads holds its connection.
    await response.body?.cancel();
    if (!response.ok) throw new HandlerError(`The receiver answered ${response.status} to #${event.position}.`);
  }
}

const edge = createEdge<Env>({ subscriptions: { webhooks: { batchSize: 10, onFailure: "dead-letter", handle: post } } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
