/** `headwater/edge`: the parts that a Worker of one's own is made of. */
export type { ConfirmedEvent } from "../shared/event/event.ts";
export { HandlerError } from "../shared/subscription.ts";
export type { Authenticate, Principal } from "./access/access.ts";
export type { EdgeEnv } from "./env.ts";
export { LogObject } from "./log/log-object.ts";
export { createEdge, type Edge, type EdgeSettings } from "./routes/edge.ts";
export { StreamObject } from "./stream/stream-object.ts";
export type { HandlerContext, Subscription } from "./subscription/settings.ts";
export { SubscriptionObject } from "./subscription/subscription-object.ts";
