/** The options of `openStore`, checked and completed. */
import type { AnyDecider } from "../shared/device/decider.ts";
import type { Scope } from "../shared/device/replica.ts";
import type { SyncSettings } from "../shared/device/sync.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import { type Limits, parseCount } from "../shared/limits.ts";
import { parseStreamId } from "../shared/stream-id.ts";
import type { ConflictRules } from "./conflicts/rules.ts";
import type { EdgeOptions } from "./edge/edge-call.ts";
import type { Platform } from "./storage/idb.ts";
import type { EventTypeOptions } from "./streams/event-checks.ts";

export interface SyncOptions {
  /** The address of the store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /** Called before each request, and once more if the edge rejects the token. Leave it out if the edge needs none. */
  readonly token?: () => string | Promise<string>;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Milliseconds until a request without an answer counts as failed. Default: 30,000. */
  readonly timeout?: number;
  /**
   * `true` (the default): one tab of the device pushes commits as soon as they are appended, follows the feed, and retries what fails.
   * `false`: all that happens when `sync()` is called, and only then.
   */
  readonly automatic?: boolean;
  /**
   * Milliseconds after which the feed is requested again. Default: 5,000. The wait is twelve times longer while the web page is hidden, or
   * while a feed socket is open.
   */
  readonly pollEvery?: number;
  /**
   * The feed socket, a WebSocket on which the edge sends news at once. `true` opens one with the global WebSocket, `false` none; a function
   * opens it in its own way. Default: `true`, but `false` if the app passes its own `fetch`. A store that is not automatic opens none.
   */
  readonly webSocket?: boolean | ((url: string, protocols: string[]) => WebSocket);
  /** The part of the store that this device follows: streams of these categories, and these streams. Default: all of it. */
  readonly filter?: { readonly categories?: readonly string[]; readonly streams?: readonly string[] };
}

export interface StoreOptions extends ConflictRules, EventTypeOptions {
  /** The name of the IndexedDB database. */
  readonly name: string;
  /** Leave it out for a store that lives on this device alone. */
  readonly sync?: SyncOptions;
  /**
   * How an append is written. With `strict` (the default) the operating system has written it to the disk when the append resolves. With
   * `relaxed` it is faster, and a power cut may lose the last moments.
   */
  readonly durability?: "strict" | "relaxed";
  /** Default: `DEFAULT_LIMITS`, each limit by itself. */
  readonly limits?: Partial<Limits>;
  /** The deciders whose commands are decided again if others' events came first. Functions can't be stored, so each tab passes them. */
  readonly deciders?: readonly AnyDecider[];
  /** The IndexedDB that holds the database. Default: the browser's. For tests use `openMemoryStore` of `headwater/testing`. */
  readonly platform?: Platform;
}

/** @throws InvalidRequestError if `pollEvery` is not a count of milliseconds */
export function syncSettings(
  { automatic = true, pollEvery = 5_000, fetch, webSocket = fetch === undefined }: SyncOptions,
  limits: Limits,
): SyncSettings {
  const { pageEvents, pushCommits, pushStreams, bodyBytes } = limits;
  return {
    automatic,
    pageEvents,
    push: { commits: pushCommits, streams: pushStreams, size: bodyBytes / 4 },
    pollEvery: parseCount(pollEvery, "sync.pollEvery") ?? pollEvery,
    feedSocket: automatic && webSocket !== false,
  };
}

/** How the edge is reached. */
export function edgeOptions({ url, token, fetch, timeout, webSocket }: SyncOptions): Omit<EdgeOptions, "signal"> {
  return { url, token, fetch, timeout, webSocket: typeof webSocket === "function" ? webSocket : undefined };
}

/** @throws InvalidRequestError for a name that is no category and no stream id, and for an empty filter */
export function scopeOf(filter: SyncOptions["filter"]): Scope {
  if (filter === undefined) return null;
  const { categories = [], streams = [] } = filter;
  if (categories.length + streams.length === 0) {
    throw new InvalidRequestError("sync.filter is empty. Name at least one category or stream, or leave it out.", { field: "sync.filter" });
  }
  const parts = [...new Set([...categories, ...streams])];
  for (const part of parts) parseStreamId(part, "sync.filter");
  return parts;
}
