/** What a deployment binds and sets; `wrangler.toml` explains each. */
import type { JwtSettings } from "./access/jwt.ts";
import type { LogObject } from "./log/log-object.ts";
import type { StreamObject } from "./stream/stream-object.ts";
import type { SubscriptionObject } from "./subscription/subscription-object.ts";

export interface EdgeEnv extends JwtSettings {
  readonly STREAMS: DurableObjectNamespace<StreamObject>;
  readonly LOGS: DurableObjectNamespace<LogObject>;
  /** Required if the edge has subscriptions. */
  readonly SUBSCRIPTIONS?: DurableObjectNamespace<SubscriptionObject>;
  /** `open` allows everything to everyone. `jwt`, or unset, requires bearer tokens. Any other value rejects every request. */
  readonly AUTH?: string;
  /** Origins, separated by commas. Each is compared as a whole. */
  readonly ALLOWED_ORIGINS?: string;
  /** Headers that web pages of other origins may send, besides those that the edge reads and those of tracing, separated by commas. */
  readonly ALLOWED_HEADERS?: string;
  /** `true` lets web pages of other origins send cookies, for an `authenticate` that reads them. */
  readonly ALLOW_CREDENTIALS?: string;
  /** Counts each actor's requests to each store. If unset, none are counted. */
  readonly RATE_LIMITER?: RateLimit;
  /** `faults` logs faults only, `all` each request too. Any other value counts as `all`, and is logged as wrong. Default: `all`. */
  readonly LOG?: string;
}
