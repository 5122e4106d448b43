/** The HTTP interface of the edge as typed calls. It sends a request again only to renew a token, and stores nothing. */

import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import { type ErrorCode, errorOf, type HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import { match, type Schema } from "../../shared/wire/schema.ts";
import { errorFromProblem, explain, type FeedPage, type FeedQuery, feedPage, type PushAnswer, pushAnswer } from "../../shared/wire/wire.ts";

export interface EdgeOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /**
   * Returns the bearer token. It is called before each request, and once more if the edge rejects the token with status 401: the token may
   * have expired on the way.
   */
  readonly token?: (() => string | Promise<string>) | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Opens the feed socket. Default: with the global `WebSocket`. */
  readonly webSocket?: ((url: string, protocols: string[]) => WebSocket) | undefined;
  /** Milliseconds after which a request without an answer fails. Default: 30,000. */
  readonly timeout?: number | undefined;
  /** When it is aborted, running requests and all later ones fail. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a request to the store: a GET, or a POST if there is a body. It rejects with the typed error of the edge's problem document, and
 * with UnavailableError if no answer came or the answer does not match the schema.
 *
 * @param path the rest of the URL after the store, e.g. `/feed?after=3`
 * @param schema the schema of the answer
 */
export type EdgeCall = <T>(path: string, schema: Schema<T>, body?: unknown) => Promise<T>;

export function createEdgeCall({
  url,
  token,
  fetch: send = (...request) => fetch(...request),
  timeout = 30_000,
  signal,
}: EdgeOptions): EdgeCall {
  const base = url.replace(/\/+$/, "");

  return async (path, schema, body) => {
    const ending = new AbortController();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = (reason: string) => {
      ending.abort();
      reject(new Error(reason));
    };
    const timer = setTimeout(() => end(`No answer came within ${timeout} milliseconds.`), timeout);
    const onAbort = () => end("The request was aborted: the store was closed, or another tab syncs.");
    signal?.addEventListener("abort", onAbort, { signal: ending.signal });
    if (signal?.aborted) onAbort();
    /** @param rejectedToken the token that the edge rejected. If the app still returns the same one, the edge's answer is final */
    const request = async (rejectedToken?: string): Promise<Answered> => {
      const bearer = await token?.();
      const headers: Record<string, string> = {};
      if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
      const init: RequestInit = { headers, signal: ending.signal };
      if (body !== undefined) {
        headers["content-type"] = "application/json";
        init.method = "POST";
        init.body = JSON.stringify(body);
      }
      const response = await send(base + path, init);
      const text = await response.text();
      const isRenewed = response.status === 401 && bearer !== undefined && rejectedToken === undefined && (await token?.()) !== bearer;
      return isRenewed ? request(bearer) : { response, text };
    };
    let answered: Answered;
    try {
      // Neither the app's `token` nor its `fetch` can be trusted to settle.
      answered = await Promise.race([request(), ended]);
    } catch (error) {
      throw new UnavailableError(
        "The edge did not answer. Check the connection and try again: sending the request again is safe.",
        {},
        { cause: error },
      );
    } finally {
      // The timer and the signal's listener would hold the answer in memory.
      clearTimeout(timer);
      ending.abort();
    }
    const answer = parseJson(answered.text);
    if (!answered.response.ok) throw errorFromProblem(answer) ?? errorFromStatus(answered.response);
    const message = match(schema, answer);
    if (!message.success) {
      throw new UnavailableError(
        `This version of Headwater does not understand the edge's answer: ${explain(message.issues)} Check the URL of the store, or update the app.`,
      );
    }
    return message.output;
  };
}

interface Answered {
  readonly response: Response;
  readonly text: string;
}

/** Undefined if the text is not JSON. The edge answers with JSON only, so the caller rejects it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The typed error of an answer that is not ok: of its problem document, or else of its status. */
export async function errorFromResponse(response: Response): Promise<HeadwaterError> {
  return errorFromProblem(parseJson(await response.text())) ?? errorFromStatus(response);
}

/** For answers without a problem document, e.g. of a proxy between the device and the edge. */
function errorFromStatus({ status, headers }: Response): HeadwaterError {
  const seconds = Number(headers.get("retry-after"));
  const retryAfter = seconds > 0 ? seconds : undefined;
  const message = `HTTP status ${status} without a problem document: a proxy in front of the edge may have answered.`;
  return errorOf(CODES[status] ?? "unavailable", message, { retryAfter });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid-request",
  401: "unauthenticated",
  403: "forbidden",
  413: "payload-too-large",
  429: "too-many-requests",
};

/**
 * Pushes commits.
 *
 * @param followed the log that the caller follows, with its position and mark. An edge that has another log accepts nothing
 */
export function pushCommits(
  call: EdgeCall,
  commits: readonly Pick<Commit, "streamId" | "expectedVersion" | "events">[],
  followed: Pick<Replica, "log" | "position" | "mark"> = NEW_REPLICA,
): Promise<PushAnswer> {
  const { log, position, mark } = followed;
  // Fields that are undefined are not sent.
  const seen = log === null || mark === null ? {} : { position, mark };
  return call("/commits", pushAnswer, { log: log ?? undefined, ...seen, commits: commits.map(commitOf) });
}

export function readFeed(call: EdgeCall, query: FeedQuery): Promise<FeedPage> {
  return call(`/feed${queryOf({ ...query })}`, feedPage);
}

function commitOf({ streamId, expectedVersion, events }: Pick<Commit, "streamId" | "expectedVersion" | "events">) {
  return { streamId, expectedVersion, events };
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
