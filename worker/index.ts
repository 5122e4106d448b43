/** `headwater/edge`: the parts that a Worker of one's own is made of. */
export type { ConfirmedEvent } from "../shared/event/event.ts";
export { HandlerError } from "../shared/subscription.ts";
export type { Authenticate, Principal } from "./access.ts";
export { createEdge, type Edge, type EdgeSettings } from "./edge.ts";
export type { EdgeEnv } from "./env.ts";
export { LogObject } from "./log-object.ts";
export { StreamObject } from "./stream-object.ts";
export type { HandlerContext, Subscription } from "./subscription.ts";
export { SubscriptionObject } from "./subscription-object.ts";
