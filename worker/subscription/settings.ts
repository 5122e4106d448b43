/** The settings of an app's subscriptions, with defaults, checked. */
import { InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { type EventTypes, upcastEvents } from "../../shared/event/event-types.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import { DEFAULT_LIMITS, type Limits } from "../../shared/limits.ts";
import * as option from "../../shared/options.ts";
import { type Beginning, beginning, DEFAULT_POLICY, POLICY_OPTIONS, type SubscriptionPolicy } from "../../shared/subscription.ts";
import type { FeedQuery } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import type { EdgeDeciders } from "../stream/stream-decider.ts";
import { type HandleCommand, handlerCommands } from "./handle-command.ts";

/** The context of a call of the handler. */
export interface HandlerContext {
  readonly store: string;
  /** The subscription's name. */
  readonly subscription: string;
  /** How often in a row the handler has failed on these events before; 0 at first. */
  readonly failures: number;
  /** Whether this is a dead letter that is replayed, out of order. */
  readonly isReplay: boolean;
  /** Aborted when the handler's time is over. Pass it to `fetch`. */
  readonly signal: AbortSignal;
  /** Gives a command to a stream of the store. It is decided once, also if the event that led to it is handled again. */
  readonly handle: HandleCommand;
}

/**
 * A subscription at the edge. An event must match all of `category`, `stream` and `type` that are given; without them, every event of the
 * store matches.
 */
export interface Subscription<E extends EdgeEnv = EdgeEnv> {
  /** Only events of streams of these categories. Default: all. */
  readonly category?: string | readonly string[];
  /** Only events of these streams. Default: all. */
  readonly stream?: string | readonly string[];
  /** Only events of these types. Default: all. */
  readonly type?: string | readonly string[];
  /** Where it begins in a store. A number is the position before the first event that it delivers. Default: `beginning`. */
  readonly from?: Beginning;
  /** The greatest number of events in one call of the handler: 1 to 1,000. Default: 100. */
  readonly batchSize?: number;
  /**
   * How many more times the handler gets an event after it failed on that event alone. A whole number from 0. Default: 30, which takes
   * about half an hour.
   */
  readonly retries?: number;
  /** What happens after the last retry. Default: `stop`, so that no event is skipped without anybody noticing. */
  readonly onFailure?: "dead-letter" | "stop";
  /**
   * After so many dead letters in a row, the next failing event stops the subscription: the handler is broken, not the events. A whole
   * number from 0. Default: 10.
   */
  readonly maxConsecutiveDeadLetters?: number;
  /** Milliseconds after which a call of the handler counts as failed, up to 600,000. Default: 120,000. */
  readonly timeout?: number;
  /**
   * Gets events in the order of their positions, each at least once. The same events come again if it threw, if its result was lost, or
   * after a reset to an earlier position. If it returns, all events of the call are handled. If it throws, none of them is; the message of
   * a `HandlerError` is stored as the reason.
   */
  handle(events: readonly ConfirmedEvent[], env: E, context: HandlerContext): unknown;
}

export interface CompleteSubscription<E extends EdgeEnv = EdgeEnv> {
  readonly filter: Pick<FeedQuery, "category" | "stream" | "type">;
  readonly policy: SubscriptionPolicy;
  readonly from: Beginning;
  readonly timeout: number;
  handle(events: readonly ConfirmedEvent[], env: E, context: CallContext): unknown;
}

/** A call of the handler, without what is made for it. */
export type CallContext = Omit<HandlerContext, "handle">;

/** What subscriptions know of the edge. */
interface AppRules {
  /** Handlers get events in the current versions of these types. */
  readonly eventTypes?: EventTypes | undefined;
  readonly deciders?: EdgeDeciders;
  readonly limits?: Limits;
}

/** Subscriptions by name. */
export type Subscriptions<E extends EdgeEnv = EdgeEnv> = ReadonlyMap<string, CompleteSubscription<E>>;

/** An alarm has 15 minutes, in milliseconds: https://developers.cloudflare.com/durable-objects/platform/limits/ */
const LONGEST_TIMEOUT = 600_000;

const { backoff: _, ...POLICY } = POLICY_OPTIONS;

export const SUBSCRIPTION_OPTIONS = {
  category: option.texts,
  stream: option.texts,
  type: option.texts,
  from: option.withPreset(beginning, "beginning"),
  ...POLICY,
  timeout: option.withPreset(option.upTo(LONGEST_TIMEOUT), 120_000),
  handle: option.required(option.callback),
} satisfies option.OptionsOf<Subscription>;

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,62}$/;

/**
 * @throws InvalidRequestError that names the field with an invalid value
 */
export function completeSubscriptions<E extends EdgeEnv>(
  given: Readonly<Record<string, Subscription<E>>> = {},
  rules: AppRules = {},
): Subscriptions<E> {
  return new Map(Object.entries(given).map(([name, subscription]) => [name, complete(name, subscription, rules)]));
}

function complete<E extends EdgeEnv>(
  name: string,
  given: Subscription<E>,
  { eventTypes, deciders = new Map(), limits = DEFAULT_LIMITS }: AppRules,
): CompleteSubscription<E> {
  const field = `subscriptions.${name}`;
  if (!NAME.test(name)) {
    throw new InvalidRequestError(
      `${field}: the name of a subscription must have 1 to 63 characters of A-Z a-z 0-9 . _ - and start with a letter.`,
      { field },
    );
  }
  const options = option.completeOptions(given, SUBSCRIPTION_OPTIONS, `${field}.`);
  const { category, stream, type, from, timeout, handle: _handle, ...policy } = options;
  const filter = { category, stream, type };
  feedFilter(filter);
  const read = (events: readonly ConfirmedEvent[]) => (eventTypes === undefined ? events : upcastEvents(eventTypes, events).events);
  return {
    filter: definedOf(filter),
    policy: { ...policy, backoff: DEFAULT_POLICY.backoff },
    from,
    timeout,
    handle(events, env, context) {
      return given.handle(read(events), env, { ...context, handle: handlerCommands(env, context, events, { deciders, limits }) });
    },
  };
}

type Defined<T> = { [N in keyof T]?: Exclude<T[N], undefined> };

function definedOf<T extends object>(given: T): Defined<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Defined<T>; // without the undefined
}
