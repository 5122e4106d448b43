/**
 * The Worker of these tests: the edge as it is deployed, and edges that have subscriptions. Each has its own objects, and finds them under
 * the names that every edge uses.
 */
import type { Edge, EdgeEnv } from "../../worker/index.ts";
import { guarded, readModel, subscribed, webhooks } from "./edges.ts";

export { default, LogObject, StreamObject } from "../../worker/main.ts";

function objectsOf<E extends EdgeEnv>({ edge, envOf }: { edge: Edge<E>; envOf: (env: Cloudflare.Env) => E }) {
  class Stream extends edge.StreamObject {
    constructor(state: DurableObjectState, env: Cloudflare.Env) {
      super(state, envOf(env));
    }
  }
  class Log extends edge.LogObject {
    constructor(state: DurableObjectState, env: Cloudflare.Env) {
      super(state, envOf(env));
    }
  }
  class Subscription extends edge.SubscriptionObject {
    constructor(state: DurableObjectState, env: Cloudflare.Env) {
      super(state, envOf(env));
    }
  }
  return { Stream, Log, Subscription };
}

export const { Stream: SubscribedStream, Log: SubscribedLog, Subscription: SubscribedSubscription } = objectsOf(subscribed);
export const { Stream: GuardedStream, Log: GuardedLog, Subscription: GuardedSubscription } = objectsOf(guarded);
export const { Stream: ReadModelStream, Log: ReadModelLog, Subscription: ReadModelSubscription } = objectsOf(readModel);
export const { Stream: WebhooksStream, Log: WebhooksLog, Subscription: WebhooksSubscription } = objectsOf(webhooks);
