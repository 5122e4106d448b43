/** The HTTP interface of the edge as typed calls. It sends a request again only to renew a token, and stores nothing. */

import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import { HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import { boundedWait, parseRetryAfter, timeLimit } from "../../shared/wait.ts";
import { type Answer, judge, judgeFailure, type Received, type Unheard } from "../../shared/wire/answer.ts";
import type { Schema } from "../../shared/wire/schema.ts";
import { type FeedPage, type FeedQuery, feedPage, type PushAnswer, pushAnswer } from "../../shared/wire/wire.ts";
import { reasonOf } from "./reason.ts";

export interface EdgeOptions {
  /** The address of the store at the edge, as `toStoreUrl` returns it. */
  readonly url: string;
  /**
   * Returns the bearer token. It is called before each request, and once more if the edge rejects the token with status 401: the token may
   * have expired on the way.
   */
  readonly token?: (() => string | undefined | Promise<string | undefined>) | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Opens the feed socket. Default: with the global `WebSocket`. */
  readonly webSocket?: ((url: string, protocols: string[]) => WebSocket) | undefined;
  /** Milliseconds after which a request without an answer fails; 0 or Infinity: never. */
  readonly timeout: number;
  /** When it is aborted, running requests and all later ones fail. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a request to the store: a GET, or a POST if there is a body. It never rejects: a failure is an answer too.
 *
 * @param path the rest of the URL after the store, e.g. `/feed?after=3`
 * @param schema the schema of the answer
 * @param method any other
 */
export type EdgeCall = <T>(path: string, schema: Schema<T>, body?: unknown, method?: string) => Promise<Answer<T>>;

export function createEdgeCall({ url, token, fetch: send = (...request) => fetch(...request), timeout, signal }: EdgeOptions): EdgeCall {
  const limit = timeLimit(timeout);

  return async (path, schema, body, method) => {
    const ending = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<Unheard>();
    const end = (reason: string, mayBeTooMuch: boolean) => {
      ending.abort();
      resolve(nothing(url, new Error(reason), mayBeTooMuch));
    };
    const timer = limit && setTimeout(() => end(`No answer came within ${limit} milliseconds.`, true), boundedWait(limit));
    const onAbort = () => end("The request was aborted: the store was closed, or another tab syncs.", false);
    signal?.addEventListener("abort", onAbort, { signal: ending.signal });
    if (signal?.aborted) onAbort();
    const request = async (bearer: string | undefined) => {
      const headers: Record<string, string> = {};
      if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
      const init: RequestInit = { headers, signal: ending.signal };
      if (method !== undefined) init.method = method;
      if (body !== undefined) {
        headers["content-type"] = "application/json";
        init.method = "POST";
        init.body = JSON.stringify(body);
      }
      const response = await send(url + path, init);
      return judge(schema, { ...receivedOf(response), text: await textOf(response) });
    };
    const authorized = async () => {
      const bearer = await token?.();
      const answer = await request(bearer);
      if (answer.kind !== "problem" || answer.error.code !== "unauthenticated" || bearer === undefined) return answer;
      // The token may have expired on the way. If the app still returns the same one, the edge's answer is final.
      const renewed = await token?.();
      return renewed === bearer ? answer : request(renewed);
    };
    try {
      // Neither the app's `token` nor its `fetch` can be trusted to settle.
      return await Promise.race([authorized(), ended]);
    } catch (error) {
      if (error instanceof HeadwaterError) return { kind: "problem", error };
      return nothing(url, error, false);
    } finally {
      // The timer and the signal's listener would hold the answer in memory.
      clearTimeout(timer);
      ending.abort();
    }
  };
}

function nothing(url: string, cause: unknown, mayBeTooMuch: boolean): Unheard {
  const message = `${url} did not answer: ${reasonOf(cause)}. Sending the request again is safe.`;
  return { kind: "nothing", error: new UnavailableError(message, {}, { cause }), mayBeTooMuch };
}

function receivedOf({ status, type, redirected, url, headers }: Response): Omit<Received, "text"> {
  const isRedirect = redirected || type === "opaqueredirect" || (status >= 300 && status < 400);
  return {
    status,
    leadsTo: isRedirect ? ((redirected ? url : headers.get("location")) ?? "") : undefined,
    contentType: headers.get("content-type"),
    retryAfter: parseRetryAfter(headers.get("retry-after"), Date.now()),
  };
}

/** Undefined if the body breaks off, or can't be decoded. */
async function textOf(response: Response): Promise<string | undefined> {
  try {
    return await response.text();
  } catch {
    // What has come of it is no answer. Why it broke off, the platform does not say.
    return undefined;
  }
}

/** The typed error of an answer that is not what was requested. */
export async function errorFromResponse(response: Response): Promise<HeadwaterError> {
  return judgeFailure({ ...receivedOf(response), text: await textOf(response) }).error;
}

/**
 * Pushes commits.
 *
 * @param followed the log that the caller follows, with its position and mark. An edge that has another log accepts nothing
 */
export function pushCommits(
  call: EdgeCall,
  commits: readonly Commit[],
  followed: Pick<Replica, "log" | "position" | "mark"> = NEW_REPLICA,
): Promise<Answer<PushAnswer>> {
  const { log, position, mark } = followed;
  // Fields that are undefined are not sent.
  const seen = log === null || mark === null ? {} : { position, mark };
  return call("/commits", pushAnswer, { log: log ?? undefined, ...seen, commits: commits.map(commitOf) });
}

export function readFeed(call: EdgeCall, query: FeedQuery): Promise<Answer<FeedPage>> {
  return call(`/feed${queryOf({ ...query })}`, feedPage);
}

/** A command that an earlier version of Headwater has stored has no id of its own: its events alone are sent. */
function commitOf({ streamId, expectedVersion, events, command }: Commit) {
  return { streamId, expectedVersion, events, command: command?.version === 0 ? undefined : command };
}

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** The query string with its question mark; an empty string if no parameter is defined. */
export function queryOf(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(name, String(item));
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}
