/** The HTTP interface of the edge as typed calls. It neither retries nor keeps anything. */
import type { Commit } from "../shared/commit.ts";
import { type HeadwaterError, UnavailableError } from "../shared/errors.ts";
import {
  type AppendAnswer,
  errorFromProblem,
  type FeedPage,
  type FeedQuery,
  type PushAnswer,
  parseAppendAnswer,
  parseFeedPage,
  parsePushAnswer,
  parseStreamList,
  parseStreamPage,
  type StreamList,
  type StreamPage,
} from "../shared/wire.ts";

export interface EdgeOptions {
  /** The store at the edge, e.g. `https://events.example.com/v1/permits`. */
  readonly url: string;
  /** Asked for before each request. */
  readonly token?: (() => string | Promise<string>) | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
  /** Milliseconds until a request without an answer counts as failed. Default: 30,000. */
  readonly timeout?: number | undefined;
}

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** Every call throws the typed error of the edge's problem document, and UnavailableError where no answer came. */
export interface EdgeClient {
  append(commit: Commit): Promise<AppendAnswer>;
  push(commits: readonly Pick<Commit, "streamId" | "expectedVersion" | "events">[], log?: string): Promise<PushAnswer>;
  readStream(streamId: string, query?: { from?: number; limit?: number; direction?: string }): Promise<StreamPage>;
  listStreams(query?: { category?: string; after?: string; limit?: number }): Promise<StreamList>;
  feed(query: FeedQuery): Promise<FeedPage>;
}

export function createEdgeClient({
  url,
  token,
  fetch: send = (...request) => fetch(...request),
  timeout = 30_000,
}: EdgeOptions): EdgeClient {
  const base = url.replace(/\/+$/, "");

  async function request<T>(path: string, parse: (answer: unknown) => T, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (token !== undefined) headers["authorization"] = `Bearer ${await token()}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const init: RequestInit = { headers, signal: AbortSignal.timeout(timeout) };
    if (body !== undefined) Object.assign(init, { method: "POST", body: JSON.stringify(body) });
    let response: Response;
    let answer: unknown;
    try {
      response = await send(`${base}${path}`, init);
      answer = await response.json();
    } catch (error) {
      throw new UnavailableError("The edge gave no answer.", {}, { cause: error });
    }
    if (!response.ok) throw problemOf(response, answer);
    try {
      return parse(answer);
    } catch (error) {
      throw new UnavailableError(
        `The edge gave an answer that this version does not understand: ${error instanceof Error ? error.message : error}`,
      );
    }
  }

  return {
    append: ({ streamId, expectedVersion, events }) =>
      request(`/streams/${encodeURIComponent(streamId)}`, parseAppendAnswer, { expectedVersion, events }),
    push: (commits, log) => request("/commits", parsePushAnswer, { ...(log === undefined ? {} : { log }), commits: commits.map(commitOf) }),
    readStream: (streamId, query = {}) => request(`/streams/${encodeURIComponent(streamId)}${queryOf(query)}`, parseStreamPage),
    listStreams: (query = {}) => request(`/streams${queryOf(query)}`, parseStreamList),
    feed: (query) => request(`/feed${queryOf({ ...query })}`, parseFeedPage),
  };
}

function commitOf({ streamId, expectedVersion, events }: Pick<Commit, "streamId" | "expectedVersion" | "events">) {
  return { streamId, expectedVersion, events };
}

function problemOf(response: Response, answer: unknown): HeadwaterError {
  const error = errorFromProblem(answer);
  if (error === undefined) return new UnavailableError(`The edge answered ${response.status} without saying why.`);
  return error;
}

function queryOf(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(name, String(item));
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}
