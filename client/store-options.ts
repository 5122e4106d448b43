/** The options of `openStore`, checked and completed. */
import type { AnyDecider } from "../shared/decider/decider.ts";
import { PERSON_SEPARATOR } from "../shared/device/owner.ts";
import type { Scope } from "../shared/device/replica.ts";
import type { SyncSettings } from "../shared/device/sync.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import { isName } from "../shared/event/commit.ts";
import type { Limits } from "../shared/limits.ts";
import * as option from "../shared/options.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import type { ConflictRules } from "./conflicts/rules.ts";
import { CONNECTION_OPTIONS, type ConnectionOptions, edgeOptions } from "./edge/connection-options.ts";
import type { EdgeOptions } from "./edge/edge-call.ts";
import type { Platform } from "./storage/idb.ts";
import { EVENT_TYPE_OPTIONS, type EventTypeOptions } from "./streams/event-codec.ts";

/** The part of a store that a device follows: streams of these categories, and these streams. At least one must be named. */
export interface SyncFilter {
  /** Categories whose streams the device follows. Default: none. */
  readonly categories?: readonly string[];
  /** Ids of streams that the device follows. Default: none. */
  readonly streams?: readonly string[];
}

export interface SyncOptions extends ConnectionOptions {
  /** The address before, if the store has moved. A device's store of any other address is not opened: it would be sent to the wrong edge. Default: none. */
  readonly movedFrom?: string | URL;
  /** Milliseconds until a request without an answer counts as failed. 0 or `Infinity`: never. Default: 30,000. */
  readonly timeout?: number;
  /**
   * `true`: one tab of the device pushes commits as soon as they are appended, follows the feed, and retries what fails. `false`: all that
   * happens when `sync()` is called, and only then. Default: `true`.
   */
  readonly automatic?: boolean;
  /**
   * Milliseconds after which the feed is requested again. The wait is twelve times longer while the web page is hidden, or while a feed
   * socket is open. Default: 5,000.
   */
  readonly pollEvery?: number;
  /**
   * The feed socket, a WebSocket on which the edge sends news at once. `true` opens one with the global WebSocket, `false` none; a function
   * opens it in its own way. Default: `true`, but `false` if the app passes its own `fetch`. A store that is not automatic opens none.
   */
  readonly webSocket?: boolean | ((url: string, protocols: string[]) => WebSocket);
  /** The part of the store that this device follows: streams of these categories, and these streams. Default: all of it. */
  readonly filter?: SyncFilter;
}

export interface StoreOptions extends ConflictRules, EventTypeOptions {
  /** The name of the IndexedDB database, without `~`. */
  readonly name: string;
  /**
   * Who uses the store: the `sub` of their tokens. Each person has a database of their own on the device. What was recorded without a person
   * is handed over to the first one. Leave it out if one person uses the device.
   */
  readonly person?: string | undefined;
  /** Leave it out for a store that lives on this device alone. */
  readonly sync?: SyncOptions;
  /**
   * How an append is written. With `strict` the operating system has written it to the disk when the append resolves. With `relaxed` it is
   * faster, and a power cut may lose the last moments. Default: `strict`.
   */
  readonly durability?: "strict" | "relaxed";
  /**
   * Whether to ask the browser, when the store is opened, not to evict this site's data. Firefox then asks the person: with `false`, the app
   * calls `persist()` at a moment of its own. Default: `true`.
   */
  readonly persist?: boolean;
  /** Limits of what the device accepts. Default: `DEFAULT_LIMITS`, each limit by itself. */
  readonly limits?: Partial<Limits>;
  /** The deciders whose commands are decided again if others' events came first. Functions can't be stored, so each tab passes them. Default: none. */
  readonly deciders?: readonly AnyDecider[];
  /**
   * What happens in this tab when it reads an event of a later version of its type than `eventTypes` has, e.g. because a newer version of the
   * app is open in another tab. `pass`: the app gets the event as it was recorded. `stop`: the store is closed in this tab with the status
   * `outdated`, so that nothing is folded wrongly, and the web page has to be reloaded. Default: `pass`.
   */
  readonly newerEvents?: "pass" | "stop";
  /** The IndexedDB that holds the database. Default: the browser's. For tests use `openMemoryStore` of `headwater/testing`. */
  readonly platform?: Platform;
}

export interface ResetOptions {
  /**
   * Whether pending commits and conflicts stay. Those that were decided on the deleted events become conflicts. `false` discards all of them
   * for good: see `export()`. Default: `true`.
   */
  readonly keepPending?: boolean;
}

export interface SignOutOptions {
  /** Whether to delete the data although something exists on this device alone. Default: `false`. */
  readonly discard?: boolean;
}

export interface DeleteOptions {
  /** Whose data. Default: that of all persons, and of nobody. */
  readonly person?: string | undefined;
  /** The IndexedDB that holds the databases. Default: the browser's. */
  readonly platform?: Platform;
}

export const RESET_OPTIONS = { keepPending: /* @__PURE__ */ option.withPreset(option.flag, true) } satisfies option.OptionsOf<ResetOptions>;

export const storeName: option.Option = {
  what: `a text that is not empty and has no ${PERSON_SEPARATOR}`,
  accepts: (value) => option.text.accepts(value) && !String(value).includes(PERSON_SEPARATOR),
};
export const person: option.Option = { what: "1 to 255 printable characters", accepts: isName };

export const SIGN_OUT_OPTIONS = {
  discard: /* @__PURE__ */ option.withPreset(option.flag, false),
} satisfies option.OptionsOf<SignOutOptions>;

export const DELETE_OPTIONS = { person, platform: option.object } satisfies option.OptionsOf<DeleteOptions>;

export const STORE_OPTIONS = {
  name: /* @__PURE__ */ option.required(storeName),
  person,
  sync: option.object,
  durability: /* @__PURE__ */ option.withPreset(/* @__PURE__ */ option.oneOf("strict", "relaxed"), "strict"),
  persist: /* @__PURE__ */ option.withPreset(option.flag, true),
  limits: option.object,
  deciders: /* @__PURE__ */ option.withPreset(option.list, []),
  newerEvents: /* @__PURE__ */ option.withPreset(/* @__PURE__ */ option.oneOf("pass", "stop"), "pass"),
  platform: option.object,
  onConflict: option.callback,
  commuting: option.list,
  ...EVENT_TYPE_OPTIONS,
} satisfies option.OptionsOf<StoreOptions>;

export const SYNC_OPTIONS = {
  ...CONNECTION_OPTIONS,
  movedFrom: option.storeUrl,
  timeout: /* @__PURE__ */ option.withPreset(option.timeout, 30_000),
  automatic: /* @__PURE__ */ option.withPreset(option.flag, true),
  pollEvery: /* @__PURE__ */ option.withPreset(option.milliseconds, 5_000),
  webSocket: { what: "true, false or a function", accepts: (value) => option.flag.accepts(value) || option.callback.accepts(value) },
  filter: option.object,
} satisfies option.OptionsOf<SyncOptions>;

export const FILTER_OPTIONS = {
  categories: /* @__PURE__ */ option.withPreset(option.list, []),
  streams: /* @__PURE__ */ option.withPreset(option.list, []),
} satisfies option.OptionsOf<SyncFilter>;

/** How the store syncs. */
export interface SyncPlan {
  readonly edge: Omit<EdgeOptions, "signal">;
  readonly settings: SyncSettings;
  readonly scope: Scope;
}

/** @throws InvalidRequestError for an option that is wrong; `field` names it */
export function planSync(given: SyncOptions, { pageEvents, pushCommits, pushStreams, bodyBytes }: Limits): SyncPlan {
  const options = option.completeOptions(given, SYNC_OPTIONS, "sync.");
  const { automatic, pollEvery, fetch, webSocket = fetch === undefined, filter } = options;
  return {
    edge: { ...edgeOptions(options), webSocket: typeof webSocket === "function" ? webSocket : undefined },
    settings: {
      automatic,
      pageEvents,
      push: { commits: pushCommits, streams: pushStreams, size: bodyBytes / 4 },
      pollEvery,
      feedSocket: automatic && webSocket !== false,
    },
    scope: filter === undefined ? null : scopeOf(filter),
  };
}

/** @throws InvalidRequestError for a name that is no category and no stream id, and for an empty filter */
function scopeOf(filter: SyncFilter): Scope {
  const { categories, streams } = option.completeOptions(filter, FILTER_OPTIONS, "sync.filter.");
  if (categories.length + streams.length === 0) {
    throw new InvalidRequestError("sync.filter is empty. Name at least one category or stream, or leave it out.", { field: "sync.filter" });
  }
  const parts = [...new Set([...categories, ...streams])];
  for (const part of parts) parseStreamId(part, "sync.filter");
  return parts;
}
