/** The settings of `createEdge`, checked and completed. */
import type { AnyDecider } from "../../shared/decider/decider.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import type { EventTypes } from "../../shared/event/event-types.ts";
import { isObject } from "../../shared/json.ts";
import { assertCommitFitsRow, completeLimits, type Limits } from "../../shared/limits.ts";
import * as option from "../../shared/options.ts";
import { type Authenticate, authenticateBySettings } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { CHECK_EVERY } from "../log/feed-sockets.ts";
import type { EdgeDeciders } from "../stream/stream-decider.ts";
import { completeSubscriptions, type Subscription, type Subscriptions } from "../subscription/settings.ts";
import { completeDeciders } from "./deciders.ts";

export interface EdgeSettings<E extends EdgeEnv = EdgeEnv> {
  /**
   * The beginning of every path, for a Worker that serves something else beside the edge: with `/api/events` a store's URL is
   * `https://example.com/api/events/v1/permits`, and the description is at `/api/events/openapi.json`. Segments of letters, digits and
   * `._~-`, each after a slash. Default: none.
   */
  readonly basePath?: string;
  /** Returns who the caller is. Default: by the settings of the deployment, see `AUTH`. */
  readonly authenticate?: Authenticate<E>;
  /** Limits of what the edge accepts. Default: `DEFAULT_LIMITS`, each limit by itself. */
  readonly limits?: Partial<Limits>;
  /**
   * Which events the edge accepts: events of these types that their schemas accept, or of an older version, which is stored as it is.
   * Readers get events as they were recorded; handlers of subscriptions get them in the current versions. Default: every event.
   */
  readonly eventTypes?: EventTypes;
  /**
   * Milliseconds. If the last check of a feed socket's credentials is longer ago, they are checked again before anything is sent on it.
   * From 0 to 60,000. Default: 60,000.
   */
  readonly checkEvery?: number;
  /**
   * The deciders of categories, by category: the same as the app's. The edge decides their commands, and records what it decides. Events
   * without a command may then be appended there only with the action `append`. Default: none.
   */
  readonly deciders?: Readonly<Record<string, AnyDecider>>;
  /** Handlers that get each store's events, by the subscription's name. Default: none. */
  readonly subscriptions?: Readonly<Record<string, Subscription<E>>>;
}

export const EDGE_SETTINGS = {
  basePath: option.withPreset({ what: 'a path such as "/api/events"', accepts: (value) => typeof value === "string" }, ""),
  authenticate: option.callback,
  limits: option.object,
  eventTypes: { what: "what defineEventTypes returned", accepts: (value) => isObject(value) && typeof value["get"] === "function" },
  checkEvery: option.withPreset(
    { what: `a number from 0 to ${CHECK_EVERY} (milliseconds)`, accepts: (value) => Number(value) >= 0 && Number(value) <= CHECK_EVERY },
    CHECK_EVERY,
  ),
  deciders: option.object,
  subscriptions: option.object,
} satisfies option.OptionsOf<EdgeSettings>;

export interface CompleteSettings<E extends EdgeEnv> {
  readonly basePath: string;
  readonly authenticate: Authenticate<E>;
  readonly limits: Limits;
  readonly eventTypes: EventTypes | undefined;
  readonly checkEvery: number;
  readonly deciders: EdgeDeciders;
  readonly subscriptions: Subscriptions<E>;
}

/** @throws InvalidRequestError that names the setting */
export function completeSettings<E extends EdgeEnv>(given: EdgeSettings<E>): CompleteSettings<E> {
  const settings = option.completeOptions(given, EDGE_SETTINGS);
  const { basePath, authenticate = authenticateBySettings, eventTypes, checkEvery } = settings;
  assertBasePath(basePath);
  const limits = completeLimits(settings.limits);
  assertCommitFitsRow(limits);
  const deciders = completeDeciders(settings.deciders);
  const subscriptions = completeSubscriptions(settings.subscriptions, { eventTypes, deciders, limits });
  return { basePath, authenticate, limits, eventTypes, checkEvery, deciders, subscriptions };
}

/** The router would take other characters for a pattern, and a URL never has a segment of dots. */
const BASE_PATH = /^(\/(?!\.+(\/|$))[\w.~-]+)*$/;

/** @throws InvalidRequestError */
function assertBasePath(basePath: string): void {
  if (BASE_PATH.test(basePath)) return;
  const detail =
    'basePath must begin with a slash and not end with one, as "/api/events" does: letters, digits and "._~-" in each segment.';
  throw new InvalidRequestError(detail, { field: "basePath" });
}
