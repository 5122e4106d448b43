/** Calls of the edge in tests: a store of its own for each test, and answers with their status. */
import { env, SELF } from "cloudflare:test";
import type { EdgeEnv } from "../../worker/index.ts";

declare global {
  namespace Cloudflare {
    interface Env extends EdgeEnv {}
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says by its assertions what it expects of an answer
  readonly body: any;
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
  const id = crypto.randomUUID();
  const request = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await SELF.fetch(`https://edge.example/v1/${id}${path}`, init);
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
      return body.events.map(
        (event: { position: number; streamId: string; version: number }) => `#${event.position} ${event.streamId}@${event.version}`,
      );
    },
    stream: (streamId) => env.STREAMS.getByName(`${id}/${streamId}`),
    log: () => env.LOGS.getByName(id),
  };
}

export function event(type = "Happened", data: unknown = {}) {
  return { id: crypto.randomUUID(), type, data };
}
