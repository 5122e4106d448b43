/** What a deployment binds and sets; `wrangler.toml` explains each. */
import type { JwtSettings } from "./access/jwt.ts";
import type { LogObject } from "./log/log-object.ts";
import type { StreamObject } from "./stream/stream-object.ts";
import type { SubscriptionObject } from "./subscription/subscription-object.ts";

export interface EdgeEnv extends JwtSettings {
  readonly STREAMS: DurableObjectNamespace<StreamObject>;
  readonly LOGS: DurableObjectNamespace<LogObject>;
  /** Where the edge has subscriptions. */
  readonly SUBSCRIPTIONS?: DurableObjectNamespace<SubscriptionObject>;
  /** `open` allows everything to everyone; `jwt`, and nothing, asks for bearer tokens; anything else refuses every request. */
  readonly AUTH?: string;
  /** Origins, separated by commas, compared whole. */
  readonly ALLOWED_ORIGINS?: string;
  /** Counts each actor's requests to each store; left out, nobody's are. */
  readonly RATE_LIMITER?: RateLimit;
  /** `faults` tells the log of faults alone; anything else, and nothing, of each request too. */
  readonly LOG?: string;
}
