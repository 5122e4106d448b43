/** An edge below a path prefix, in a Worker that serves something else beside it. */
import { createExecutionContext, env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { createEdge, type EdgeEnv } from "../../../worker/index.ts";
import { event, storeAt } from "../edge-calls.ts";
import { SUBSCRIPTIONS, subscribed } from "../edges.ts";
import { openLive } from "../log/feed-socket.ts";

const BASE = "/api/events";
const edge = createEdge({ basePath: BASE });

const fetchAt = async (path: string, init?: RequestInit, bindings: EdgeEnv = env) =>
  edge.fetch(new Request(`https://edge.example${path}`, init), bindings, createExecutionContext());
/** The same URL below the prefix. */
const below = async (url: string, init?: RequestInit) => fetchAt(`${BASE}${url.slice("https://edge.example".length)}`, init);

test("appends, pushes, streams, lists, feed and health have their paths below the prefix", async () => {
  const store = storeAt(env, below);
  expect((await store.append("A-1", 0, event())).status).toBe(201);
  expect((await store.push({ streamId: "A-1", events: [event()] })).body.results).toMatchObject([{ status: "committed", position: 2 }]);
  expect((await store.request("/streams/A-1")).body).toMatchObject({ streamId: "A-1", version: 2 });
  expect((await store.request("/streams")).body).toEqual({ streams: [{ streamId: "A-1", version: 2 }], next: null });
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2"]);
  expect((await store.request("/health")).body).toMatchObject({ head: 2, unpublished: 0 });
  expect(await (await fetchAt(`${BASE}/health`)).json()).toEqual({ status: "ok" });
});

test("a feed socket and server-sent events open below the prefix", async () => {
  const store = storeAt(env, below);
  await store.append("A-1", 0, event());
  const { socket } = await openLive(store.id, "/feed?category=A", { "sec-websocket-protocol": "headwater.v1" }, below);
  socket.pull(0);
  expect(await socket.next()).toMatchObject({ events: [{ streamId: "A-1", position: 1 }], head: 1 });
  socket.close();
  const response = await below(`https://edge.example/v1/${store.id}/feed`, { headers: { accept: "text/event-stream" } });
  expect(response.status).toBe(200);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toContain('event: log\ndata: {"log":');
  await reader?.cancel();
});

test("/openapi.json is below the prefix and names it as its server, and each path that it describes is a route there", async () => {
  const own = createEdge({ basePath: BASE, subscriptions: SUBSCRIPTIONS });
  const call = async (path: string, init?: RequestInit) =>
    own.fetch(new Request(`https://edge.example${path}`, init), subscribed.envOf(env), createExecutionContext());
  const response = await call(`${BASE}/openapi.json`);
  const { servers, paths } = await response.json<{ servers: { url: string }[]; paths: Record<string, Record<string, object>> }>();
  expect(servers).toEqual([{ url: BASE }]);
  for (const [path, { parameters: _, ...methods }] of Object.entries(paths)) {
    const named = path.replace("{store}", crypto.randomUUID()).replace("{streamId}", "A-1").replace("{name}", "all");
    for (const method of Object.keys(methods)) {
      const answer = await call(`${servers[0]?.url}${named}`, {
        method: method.toUpperCase(),
        ...(method === "post" ? { body: "{}" } : {}),
      });
      expect([path, await answer.text()]).toEqual([path, expect.not.stringContaining("No route")]);
      expect([path, (await call(named, { method: method.toUpperCase() })).status]).toEqual([path, 404]);
    }
  }
  const without = await createEdge().fetch(new Request("https://edge.example/openapi.json"), env);
  expect(await without.json()).not.toHaveProperty("servers");
});

test.each([
  "/",
  "/health",
  "/openapi.json",
  "/v1/any/feed",
  "/api",
  "/api/v1/any/feed",
  BASE,
  `${BASE}/`,
  `${BASE}v1/any/feed`,
  `/x${BASE}/health`,
])("%s is not below the prefix: 404, which says where the description is", async (path) => {
  const response = await fetchAt(path);
  expect([response.status, await response.json()]).toMatchObject([
    404,
    { code: "invalid-request", detail: `No route has this path and method: see ${BASE}/openapi.json.` },
  ]);
});

test("credentials, web pages and the log's lines are as without a prefix", async () => {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
  const { STREAMS, LOGS } = env;
  const closed = { STREAMS, LOGS, JWT_SECRET: "0123456789abcdef0123456789abcdef", ALLOWED_ORIGINS: "https://app.example" };
  const path = `${BASE}/v1/any/feed`;
  expect((await fetchAt(path, {}, closed)).status).toBe(401);
  expect((await fetchAt(path, { headers: { origin: "https://evil.example" } }, closed)).status).toBe(403);
  const preflight = await fetchAt(path, { method: "OPTIONS", headers: { origin: "https://app.example" } }, closed);
  expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, "https://app.example"]);
  expect(lines.map((line) => JSON.parse(line)).map((line) => [line.path, line.status])).toEqual([
    [path, 401],
    [path, 403],
    [path, 204],
  ]);
  vi.restoreAllMocks();
});

test.each(["api", "/api/", "/", "/:store", "/a/*", "/a//b", "/..", "/a/./b", "/a b", "/a?b", "/é", "https://edge.example/api", 7, null])(
  "basePath = %s is rejected",
  (basePath) => {
    expect(() => createEdge({ basePath: basePath as string })).toThrow(
      expect.objectContaining({ code: "invalid-request", field: "basePath" }),
    );
  },
);

test.each(["", "/a", "/a/b.c/~d_e-f/..g"])("basePath = %s is where the edge is", async (basePath) => {
  const response = await createEdge({ basePath }).fetch(new Request(`https://edge.example${basePath}/health`), { ...env });
  expect(response.status).toBe(200);
});
