/** The HTTP interface of the edge as typed calls. It neither retries nor keeps anything. */

import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import { type ErrorCode, errorOf, type HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import { match, type Schema } from "../../shared/wire/schema.ts";
import { errorFromProblem, type FeedPage, type FeedQuery, feedPage, type PushAnswer, pushAnswer } from "../../shared/wire/wire.ts";

export interface EdgeOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /** Asked for before each request, and once more where the edge refuses it: a token may have expired on the way. */
  readonly token?: (() => string | Promise<string>) | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
  /** How a live connection is opened. Default: the global WebSocket. */
  readonly webSocket?: ((url: string, protocols: string[]) => WebSocket) | undefined;
  /** Milliseconds until a request without an answer counts as failed. Default: 30,000. */
  readonly timeout?: number | undefined;
  /** Ends requests under way, and later ones. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A request to the store: a GET, or a POST where there is a body. Throws the typed error of the edge's problem document,
 * and UnavailableError where no answer came.
 *
 * @param path what stands behind the store in the URL, e.g. `/feed?after=3`
 * @param schema of the answer
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
    const end = () => {
      ending.abort();
      reject();
    };
    const timer = setTimeout(end, timeout);
    signal?.addEventListener("abort", end, { signal: ending.signal });
    if (signal?.aborted) end();
    /** @param refused the token that the edge would not take; its answer stands where there is no other */
    const request = async (refused?: string): Promise<Answered> => {
      const bearer = await token?.();
      const headers: Record<string, string> = {};
      if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
      const init: RequestInit = { headers, signal: ending.signal };
      if (body !== undefined) {
        headers["content-type"] = "application/json";
        Object.assign(init, { method: "POST", body: JSON.stringify(body) });
      }
      const response = await send(base + path, init);
      const text = await response.text();
      const isRenewed = response.status === 401 && bearer !== undefined && refused === undefined && (await token?.()) !== bearer;
      return isRenewed ? request(bearer) : { response, text };
    };
    let answered: Answered;
    try {
      // Neither the app's token nor a fetch of its own can be trusted to end.
      answered = await Promise.race([request(), ended]);
    } catch (error) {
      throw new UnavailableError("The edge gave no answer.", {}, { cause: error });
    } finally {
      // Whatever listens would hold the answer until the time is over.
      clearTimeout(timer);
      end();
    }
    const answer = parseJson(answered.text);
    if (!answered.response.ok) throw errorFromProblem(answer) ?? errorFromStatus(answered.response);
    const message = match(schema, answer);
    if (!message.success) throw new UnavailableError("The edge's answer is not one this version understands.");
    return message.output;
  };
}

interface Answered {
  readonly response: Response;
  readonly text: string;
}

/** Undefined for what is no JSON, which is no answer of the edge either. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // whoever checks the answer refuses it
  }
}

/** The typed error of an answer that is none of the good ones. */
export async function errorFromResponse(response: Response): Promise<HeadwaterError> {
  return errorFromProblem(parseJson(await response.text())) ?? errorFromStatus(response);
}

/** What stands between a device and the edge answers without a problem document. */
function errorFromStatus({ status, headers }: Response): HeadwaterError {
  const seconds = Number(headers.get("retry-after"));
  return errorOf(CODES[status] ?? "unavailable", `The edge answered ${status}.`, { retryAfter: seconds || undefined });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid-request",
  401: "unauthenticated",
  403: "forbidden",
  413: "payload-too-large",
  429: "too-many-requests",
};

/** @param followed the log that the caller follows, and how far; another one takes nothing */
export function pushCommits(
  call: EdgeCall,
  commits: readonly Pick<Commit, "streamId" | "expectedVersion" | "events">[],
  followed: Pick<Replica, "log" | "position" | "mark"> = NEW_REPLICA,
): Promise<PushAnswer> {
  const { log, position, mark } = followed;
  // What is undefined is not sent.
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

/** With its question mark; nothing where nothing is asked. */
export function queryOf(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(name, String(item));
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}
