/** What an app says of a subscription, complete and checked. */
import { InvalidRequestError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { type EventTypes, upcastEvents } from "../../shared/event/event-types.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import { parseCount } from "../../shared/limits.ts";
import { type Beginning, completePolicy, parseBeginning, type SubscriptionPolicy } from "../../shared/subscription.ts";
import type { FeedQuery } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";

/** What a handler is told besides the events. */
export interface HandlerContext {
  readonly store: string;
  /** The subscription's name. */
  readonly subscription: string;
  /** How often in a row these events were refused before; 0 at first. */
  readonly failures: number;
  /** Whether this is an event that was set aside, tried again out of order. */
  readonly isReplay: boolean;
  /** Aborted when the handler's time is over: pass it to `fetch`. */
  readonly signal: AbortSignal;
}

/** What is left out lets every event of the store pass. */
export interface Subscription<E extends EdgeEnv = EdgeEnv> {
  readonly category?: string | readonly string[];
  readonly stream?: string | readonly string[];
  readonly type?: string | readonly string[];
  /** Where it begins in a store: a position stands before the first event that it is handed. Default: `beginning`. */
  readonly from?: Beginning;
  /** Events that the handler is given at once, at most: 1 to 1,000. Default: 100. */
  readonly batchSize?: number;
  /** How often an event that was refused by itself is tried again. Default: 30, which takes about half an hour. */
  readonly retries?: number;
  /** What becomes of it then. Default: `stop`, so that nothing is passed over unseen. */
  readonly onFailure?: "dead-letter" | "stop";
  /** After so many events in a row that were set aside the next one stops the subscription: it is the handler, not they. Default: 10. */
  readonly maxConsecutiveDeadLetters?: number;
  /** Milliseconds after which a handler that has not answered is taken to have refused, up to 600,000. Default: 120,000. */
  readonly timeout?: number;
  /**
   * Is given events in the order of their positions, each at least once: the same ones again where it threw, where its answer was lost, or
   * when somebody goes back. Returning says that all of them are dealt with; throwing, that none is, and a `HandlerError` says why.
   */
  handle(events: readonly ConfirmedEvent[], env: E, context: HandlerContext): unknown;
}

export interface CompleteSubscription<E extends EdgeEnv = EdgeEnv> {
  readonly filter: Pick<FeedQuery, "category" | "stream" | "type">;
  readonly policy: SubscriptionPolicy;
  readonly from: Beginning;
  readonly timeout: number;
  readonly handle: Subscription<E>["handle"];
}

/** By their names. */
export type Subscriptions<E extends EdgeEnv = EdgeEnv> = ReadonlyMap<string, CompleteSubscription<E>>;

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,62}$/;
/** An alarm has 15 minutes: https://developers.cloudflare.com/durable-objects/platform/limits/ */
const LONGEST_TIMEOUT = 600_000;
const TIMEOUT = 120_000;

/**
 * @param eventTypes what handlers are given is brought to its current versions
 * @throws InvalidRequestError naming the part that is not of its form
 */
export function completeSubscriptions<E extends EdgeEnv>(
  given: Readonly<Record<string, Subscription<E>>> = {},
  eventTypes?: EventTypes,
): Subscriptions<E> {
  return new Map(Object.entries(given).map(([name, subscription]) => [name, complete(name, subscription, eventTypes)]));
}

function complete<E extends EdgeEnv>(name: string, given: Subscription<E>, eventTypes: EventTypes | undefined): CompleteSubscription<E> {
  const field = `subscriptions.${name}`;
  if (!NAME.test(name)) {
    throw new InvalidRequestError("A subscription's name is 1 to 63 characters of A-Z a-z 0-9 . _ - and starts with a letter.", { field });
  }
  const { category, stream, type, batchSize, retries, onFailure, maxConsecutiveDeadLetters, from = "beginning", timeout = TIMEOUT } = given;
  const filter = { category, stream, type };
  feedFilter(filter);
  parseCount(timeout, `${field}.timeout`);
  if (timeout > LONGEST_TIMEOUT) {
    throw new InvalidRequestError(`${field}.timeout is at most ${LONGEST_TIMEOUT} milliseconds.`, { field: `${field}.timeout` });
  }
  const read = (events: readonly ConfirmedEvent[]) => (eventTypes === undefined ? events : upcastEvents(eventTypes, events).events);
  const policy = completePolicy(definedOf({ batchSize, retries, onFailure, maxConsecutiveDeadLetters }), field);
  return {
    filter: definedOf(filter),
    policy,
    from: parseBeginning(from, `${field}.from`),
    timeout,
    handle: (events, ...rest) => given.handle(read(events), ...rest),
  };
}

type Defined<T> = { [N in keyof T]?: Exclude<T[N], undefined> };

function definedOf<T extends object>(given: T): Defined<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Defined<T>; // the others are left out
}
