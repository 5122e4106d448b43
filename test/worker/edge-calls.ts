/** Calls of the edge in tests: each test has a store of its own, and gets answers with their status. */
import { env, SELF } from "cloudflare:test";
import type { AppendAnswer, FeedPage, ProblemDocument, PushAnswer, StoreHealth, StreamList, StreamPage } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../../worker/index.ts";

declare global {
  namespace Cloudflare {
    interface Env extends EdgeEnv {}
  }
}

/** Whatever an answer may say; which of it is there, a test says by its assertions. */
export type Body = AppendAnswer & PushAnswer & StreamPage & FeedPage & Omit<StoreHealth, "events"> & StreamList & ProblemDocument;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

export interface TestStore {
  readonly id: string;
  request(path: string, init?: RequestInit): Promise<Answer>;
  append(streamId: string, expectedVersion: unknown, ...events: object[]): Promise<Answer>;
  push(...commits: object[]): Promise<Answer>;
  /** All positions, streams and versions of the feed, in its order. */
  feed(): Promise<string[]>;
  stream(streamId: string): ReturnType<typeof env.STREAMS.getByName>;
  log(): ReturnType<typeof env.LOGS.getByName>;
}

export function newStore(): TestStore {
  return storeAt(env, (url, init) => SELF.fetch(url, init));
}

export function storeAt(own: EdgeEnv, fetch: (url: string, init?: RequestInit) => Promise<Response>): TestStore {
  const id = crypto.randomUUID();
  const request = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(`https://edge.example/v1/${id}${path}`, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text === "" ? undefined : JSON.parse(text) };
  };
  const post = (path: string, body: unknown) => request(path, { method: "POST", body: JSON.stringify(body) });
  return {
    id,
    request,
    append: (streamId, expectedVersion, ...events) => post(`/streams/${streamId}`, { expectedVersion, events }),
    push: (...commits) => post("/commits", { commits }),
    feed: async () => {
      const { body } = await request("/feed");
      return body.events.map((event) => `#${event.position} ${event.streamId}@${event.version}`);
    },
    stream: (streamId) => own.STREAMS.getByName(`${id}/${streamId}`),
    log: () => own.LOGS.getByName(id),
  };
}

export function event(type = "Happened", data: unknown = {}) {
  return { id: crypto.randomUUID(), type, data };
}
