import { createExecutionContext } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { createEdge } from "../../../worker/index.ts";
import { event } from "../edge-calls.ts";
import { watchedEnv } from "../watched-env.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Takes so many requests of each key, as a binding does in one period. */
function limiter(limit: number) {
  const counts = new Map<string, number>();
  return {
    counts,
    limit: async ({ key }: { key: string }) => {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return { success: (counts.get(key) ?? 0) <= limit };
    },
  };
}

const edge = createEdge({
  authenticate: (request) => {
    const user = request.headers.get("x-user");
    if (user === null) return null;
    const actor = user === "nobody" ? null : user;
    return { actor, grants: [{ store: "*", streams: ["*"], can: ["read", "append"] }] };
  },
});

function caller(RATE_LIMITER?: RateLimit) {
  const watched = watchedEnv();
  const call = async (path: string, headers: Record<string, string>, body?: object) => {
    const init = { headers, ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }) };
    const request = new Request(`https://edge.example/v1/${path}`, init);
    const response = await edge.fetch(request, { ...watched.env, ...(RATE_LIMITER && { RATE_LIMITER }) }, createExecutionContext());
    const { code } = await response.json<{ code?: string }>();
    return { status: response.status, retryAfter: response.headers.get("retry-after"), code };
  };
  return { watched, call };
}

test("whoever asks too often is refused before any object wakes, and told when to come back", async () => {
  const { watched, call } = caller(limiter(1));
  const store = crypto.randomUUID();
  expect((await call(`${store}/feed`, { "x-user": "ann" })).status).toBe(200);
  const { length } = watched.stubs;
  const requests: [string, Record<string, string>, object?][] = [
    ["/feed", {}],
    ["/feed", { upgrade: "websocket" }],
    ["/feed", { accept: "text/event-stream" }],
    ["/streams", {}],
    ["/streams/A-1", {}],
    ["/streams/A-1", {}, { events: [event()] }],
    ["/commits", {}, { commits: [{ streamId: "A-1", events: [event()] }] }],
    ["/health", {}],
  ];
  for (const [path, headers, body] of requests) {
    const answer = await call(store + path, { "x-user": "ann", ...headers }, body);
    expect(answer).toEqual({ status: 429, retryAfter: "10", code: "too-many-requests" });
  }
  expect(watched.stubs).toHaveLength(length);
});

test("each actor is counted for each store, and where there is none each address", async () => {
  const counters = limiter(1);
  const { call } = caller(counters);
  const [one, other] = [crypto.randomUUID(), crypto.randomUUID()];
  const askers: [string, Record<string, string>][] = [
    [one, { "x-user": "ann" }],
    [one, { "x-user": "ben" }],
    [other, { "x-user": "ann" }],
    [one, { "x-user": "nobody", "cf-connecting-ip": "192.0.2.1" }],
    [one, { "x-user": "nobody", "cf-connecting-ip": "192.0.2.2" }],
  ];
  for (const expected of [200, 429]) {
    for (const [store, headers] of askers) expect((await call(`${store}/feed`, headers)).status).toBe(expected);
  }
  expect([...counters.counts.keys()]).toEqual([
    `${one}/actor:ann`,
    `${one}/actor:ben`,
    `${other}/actor:ann`,
    `${one}/address:192.0.2.1`,
    `${one}/address:192.0.2.2`,
  ]);
});

test("who is not known is refused as before, and not counted", async () => {
  const counters = limiter(0);
  const { call } = caller(counters);
  expect((await call(`${crypto.randomUUID()}/feed`, {})).status).toBe(401);
  expect(counters.counts.size).toBe(0);
});

test("a limiter that fails lets everybody in", async () => {
  const journal = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { call } = caller({ limit: () => Promise.reject(new Error("the counters are away")) });
  expect((await call(`${crypto.randomUUID()}/feed`, { "x-user": "ann" })).status).toBe(200);
  expect(String(journal.mock.calls[0]?.[0])).toContain("the counters are away");
});

test("without a limiter nobody is counted", async () => {
  const { call } = caller();
  const store = crypto.randomUUID();
  for (let i = 0; i < 50; i++) expect((await call(`${store}/feed`, { "x-user": "ann" })).status).toBe(200);
});
