/** Edges that have subscriptions, and their bindings: `main.ts` exports their objects. */
import { createExecutionContext, env } from "cloudflare:test";
import readModelExample, { type Env as ReadModelEnv } from "../../docs/examples/read-model/worker.ts";
import webhooksExample, { type Env as WebhooksEnv } from "../../docs/examples/webhooks/worker.ts";
import type { SubscriptionStatus } from "../../shared/subscription.ts";
import type { SubscriptionDetail, SubscriptionList } from "../../shared/wire/wire.ts";
import { type ConfirmedEvent, createEdge, type Edge, type EdgeEnv, type HandlerContext, type Subscription } from "../../worker/index.ts";
import { stock } from "../support/shelf.ts";
import { type Answer, type Body, storeAt, type TestStore } from "./edge-calls.ts";

type Own<P extends string> = {
  readonly [N in "STREAMS" | "LOGS" as `${P}_${N}`]: EdgeEnv[N];
} & { readonly [N in `${P}_SUBSCRIPTIONS`]: NonNullable<EdgeEnv["SUBSCRIPTIONS"]> };

declare global {
  namespace Cloudflare {
    interface Env extends Own<"SUBSCRIBED">, Own<"READ_MODEL">, Own<"WEBHOOKS">, Own<"GUARDED"> {
      readonly DB: D1Database;
    }
  }
}

export type Handler = (events: readonly ConfirmedEvent[], context: HandlerContext) => unknown;

const handlers = new Map<string, Handler>();

/** What a store's subscription does from now on; nothing, unless said. */
export function handling(store: string, subscription: string, handler: Handler): void {
  handlers.set(`${store}/${subscription}`, handler);
}

function subscription(more: Omit<Subscription, "handle"> = {}): Subscription {
  return { ...more, handle: (events, _, context) => handlers.get(`${context.store}/${context.subscription}`)?.(events, context) };
}

export const SUBSCRIPTIONS = {
  /** All there is, a few at a time. */
  all: subscription({ batchSize: 10, retries: 3, onFailure: "dead-letter", maxConsecutiveDeadLetters: 2 }),
  permits: subscription({ category: "Permit", type: ["Granted", "Refused"], retries: 1 }),
  quick: subscription({ stream: "Quick-1", timeout: 50, retries: 0 }),
  later: subscription({ from: "now" }),
};

function ownEnv(name: "SUBSCRIBED" | "READ_MODEL" | "WEBHOOKS" | "GUARDED", given: Cloudflare.Env) {
  return { STREAMS: given[`${name}_STREAMS`], LOGS: given[`${name}_LOGS`], SUBSCRIPTIONS: given[`${name}_SUBSCRIPTIONS`] };
}

export const subscribed = {
  edge: createEdge({ subscriptions: SUBSCRIPTIONS, deciders: { Stock: stock } }),
  envOf: (given: Cloudflare.Env): EdgeEnv => ({ ...given, ...ownEnv("SUBSCRIBED", given) }),
};
/** The edge decides the commands of a category. */
export const guarded = {
  edge: createEdge({ deciders: { Stock: stock } }),
  envOf: (given: Cloudflare.Env): EdgeEnv => ({ ...given, ...ownEnv("GUARDED", given) }),
};
export const readModel = {
  edge: readModelExample,
  envOf: (given: Cloudflare.Env): ReadModelEnv => ({ ...given, ...ownEnv("READ_MODEL", given) }),
};
export const webhooks = {
  edge: webhooksExample,
  envOf: (given: Cloudflare.Env): WebhooksEnv => ({
    ...given,
    ...ownEnv("WEBHOOKS", given),
    WEBHOOK_URL: "https://receiver.example/events",
    WEBHOOK_SECRET: "0123456789abcdef0123456789abcdef",
  }),
};

type SubscriptionBody = Body & SubscriptionStatus & SubscriptionList & SubscriptionDetail;

export interface SubscribedStore extends TestStore {
  subscription(name: string): DurableObjectStub<import("../../worker/index.ts").SubscriptionObject>;
  status(name: string): Promise<SubscriptionStatus>;
  post(path: string, body?: object): Promise<Answer & { readonly body: SubscriptionBody }>;
  get(path: string): Promise<Answer & { readonly body: SubscriptionBody }>;
}

/** A store of its own, at one of the edges. */
export function newSubscribedStore<E extends EdgeEnv>({
  edge,
  envOf,
}: {
  edge: Edge<E>;
  envOf: (env: Cloudflare.Env) => E;
}): SubscribedStore {
  const own = envOf(env);
  const store = storeAt(own, async (url, init) => edge.fetch(new Request(url, init), own, createExecutionContext()));
  const get = async (path: string) => (await store.request(path)) as Answer & { body: SubscriptionBody };
  const post = async (path: string, body: object = {}) =>
    (await store.request(path, { method: "POST", body: JSON.stringify(body) })) as Answer & { body: SubscriptionBody };
  return {
    ...store,
    get,
    post,
    subscription: (name) => {
      if (own.SUBSCRIPTIONS === undefined) throw new Error("this edge has no subscriptions");
      return own.SUBSCRIPTIONS.getByName(`${store.id}/${name}`);
    },
    status: async (name) => (await get(`/subscriptions/${name}`)).body.subscription,
  };
}
