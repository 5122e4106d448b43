/** Webhooks: posts each event of a store to an address, signed, and retries until the receiver has accepted it. */
import { type ConfirmedEvent, createEdge, type EdgeEnv, type HandlerContext, HandlerError } from "headwater/edge";
import { signatureOf } from "./signature.ts";

export interface Env extends EdgeEnv {
  /** The address of the receiver. */
  readonly WEBHOOK_URL: string;
  /** 32 bytes or more, known to the receiver too: `npx wrangler secret put WEBHOOK_SECRET`. */
  readonly WEBHOOK_SECRET: string;
}

/**
 * Posts the events one after the other, so that they arrive in order. If the receiver rejects one, the events before it in the batch are
 * posted again with it. The receiver recognizes them by their `webhook-id`, which is the event's id.
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
    // An unread body would keep the connection open.
    await response.body?.cancel();
    if (!response.ok) throw new HandlerError(`The receiver answered ${response.status} to #${event.position}.`);
  }
}

const edge = createEdge<Env>({ subscriptions: { webhooks: { batchSize: 10, onFailure: "dead-letter", handle: post } } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
