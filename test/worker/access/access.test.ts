import { createExecutionContext, env, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { createEdge } from "../../../worker/index.ts";
import settingsFile from "../../../wrangler.toml?raw";

const REQUESTS: [string, string][] = [
  ["POST", "/streams/A-1"],
  ["GET", "/streams/A-1"],
  ["GET", "/streams"],
  ["POST", "/commits"],
  ["GET", "/feed"],
  ["GET", "/health"],
];

test.each([undefined, "", "jwt", "Open", "none"])("with AUTH = %s a deployment refuses every request", async (AUTH) => {
  const { STREAMS, LOGS } = env;
  const edge = createEdge();
  for (const [method, path] of REQUESTS) {
    const request = new Request(`https://edge.example/v1/closed${path}`, { method, ...(method === "POST" ? { body: "{}" } : {}) });
    const response = await edge.fetch(
      request,
      { STREAMS, LOGS, LOG: "faults", ...(AUTH === undefined ? {} : { AUTH }) },
      createExecutionContext(),
    );
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(await response.json()).toMatchObject({ code: "unauthenticated" });
  }
});

test("an app's own authenticate decides who may do what, and who did it", async () => {
  const edge = createEdge({
    authenticate: (request) => {
      const actor = request.headers.get("x-user");
      return actor === null ? null : { actor, grants: [{ store: "*", streams: ["Mine-1"], can: ["append"] }] };
    },
  });
  const url = `https://edge.example/v1/${crypto.randomUUID()}`;
  const call = (path: string, user: string | null, body?: object) => {
    const headers = user === null ? {} : { "x-user": user };
    return edge.fetch(
      new Request(`${url}${path}`, { headers, ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }) }),
      env,
      createExecutionContext(),
    );
  };
  const events = [{ type: "A", data: 1 }];
  expect((await call("/streams/Mine-1", null, { events })).status).toBe(401);
  expect((await call("/streams/Mine-1", "ann", { events })).status).toBe(201);
  expect((await call("/streams/Other-1", "ann", { events })).status).toBe(403);
  expect((await call("/streams/Mine-1", "ann")).status).toBe(403);
  expect((await call("/feed", "ann")).status).toBe(403);
  const pushed = await call("/commits", "ann", {
    commits: [
      { streamId: "Mine-1", events },
      { streamId: "Other-1", events },
    ],
  });
  expect(await pushed.json()).toMatchObject({ results: [{ status: "committed" }, { status: "rejected", code: "forbidden" }] });
  const page = await SELF.fetch(`${url}/streams/Mine-1`);
  expect(await page.json()).toMatchObject({ version: 2, events: [{ actor: "ann" }, { actor: "ann" }] });
});

test.each([
  ["http://localhost:5173", true],
  ["http://127.0.0.1:3000", true],
  ["http://[::1]:3000", true],
  ["https://edge.example", true],
  ["https://edge.example.evil.example", false],
  ["https://evil.example", false],
  ["http://localhost.evil.example", false],
  ["http://127.0.0.1.evil.example", false],
  ["null", false],
])("open to everyone, a page of %s is let in: %s", async (origin, allowed) => {
  const url = `https://edge.example/v1/${crypto.randomUUID()}/feed`;
  const response = await SELF.fetch(url, { headers: { origin } });
  expect(response.status).toBe(allowed ? 200 : 403);
  expect(response.headers.get("access-control-allow-origin")).toBe(allowed ? origin : null);
  await response.arrayBuffer();
  const preflight = await SELF.fetch(url, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  expect(preflight.status).toBe(allowed ? 204 : 403);
  await preflight.arrayBuffer();
});

test("an allowed page can read why it was refused", async () => {
  const origin = "http://localhost:5173";
  const response = await SELF.fetch(`https://edge.example/v1/${crypto.randomUUID()}/streams/A-1`, { headers: { origin } });
  expect([response.status, response.headers.get("access-control-allow-origin"), response.headers.get("vary")]).toEqual([
    404,
    origin,
    "origin",
  ]);
  await response.arrayBuffer();
});

test("a page that is not allowed wakes no object", async () => {
  const fail = () => {
    throw new Error("an object was asked for");
  };
  const namespace = new Proxy(env.STREAMS, { get: fail });
  const settings = { AUTH: "open", LOG: "faults", STREAMS: namespace, LOGS: new Proxy(env.LOGS, { get: fail }) };
  for (const [method, path] of REQUESTS) {
    const request = new Request(`https://edge.example/v1/closed${path}`, {
      method,
      headers: { origin: "https://evil.example" },
      ...(method === "POST" ? { body: "{}" } : {}),
    });
    const response = await createEdge().fetch(request, settings, createExecutionContext());
    expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([403, "forbidden"]);
  }
});

test("the deployment's own settings open nothing", () => {
  expect(settingsFile).toContain("new_sqlite_classes");
  expect(settingsFile).not.toMatch(/^\s*(AUTH|ALLOWED_ORIGINS|ALLOWED_HEADERS|ALLOW_CREDENTIALS)\s*=/m);
});

test("whether the edge answers can be asked without credentials", async () => {
  const response = await createEdge().fetch(new Request("https://edge.example/health"), {
    STREAMS: env.STREAMS,
    LOGS: env.LOGS,
    LOG: "faults",
  });
  expect([response.status, await response.json()]).toEqual([200, { status: "ok" }]);
});

test("where origins are listed, those and no others are let in, compared whole", async () => {
  const edge = createEdge();
  const settings = { ...env, ALLOWED_ORIGINS: "https://app.example, https://beta.app.example" };
  for (const [origin, status] of [
    ["https://app.example", 200],
    ["https://beta.app.example", 200],
    ["https://app.example:8443", 403],
    ["https://xapp.example", 403],
    ["http://app.example", 403],
    ["http://localhost:3000", 403],
  ] as const) {
    const response = await edge.fetch(
      new Request(`https://edge.example/v1/${crypto.randomUUID()}/feed`, { headers: { origin } }),
      settings,
      createExecutionContext(),
    );
    expect([origin, response.status]).toEqual([origin, status]);
    await response.arrayBuffer();
  }
});

test("the interface is described by the schemas that check it", async () => {
  const response = await SELF.fetch("https://edge.example/openapi.json");
  const document = await response.json<{ openapi: string; paths: Record<string, unknown> }>();
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toEqual([
    "/health",
    "/openapi.json",
    "/v1/{store}/streams/{streamId}",
    "/v1/{store}/streams/{streamId}/commands",
    "/v1/{store}/streams",
    "/v1/{store}/commits",
    "/v1/{store}/feed",
    "/v1/{store}/health",
    "/v1/{store}",
    "/v1/{store}/restore",
    "/v1/{store}/restore/streams",
    "/v1/{store}/restore/log",
    "/v1/{store}/restore/finish",
    "/v1/{store}/restore/abandon",
    "/v1/{store}/reconcile/log",
    "/v1/{store}/reconcile/streams",
  ]);
  expect(JSON.stringify(document)).toContain('"expectedVersion"');
});

test("a name that can't stand in an event is nobody's", async () => {
  for (const actor of ["", "a\nb", "x".repeat(256)]) {
    const edge = createEdge({ authenticate: () => ({ actor, grants: [{ store: "*", streams: ["*"], can: ["read", "append"] }] }) });
    const response = await edge.fetch(new Request(`https://edge.example/v1/${crypto.randomUUID()}/feed`), env, createExecutionContext());
    expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([401, "unauthenticated"]);
  }
});

test("Tenant and name isolation: no two names of stores and streams mean the same object", async () => {
  const id = crypto.randomUUID();
  const read = async (store: string, streamId: string) => {
    const response = await SELF.fetch(`https://edge.example/v1/${store}/streams/${streamId}`);
    return [response.status, (await response.json<{ events?: { data: string }[] }>()).events?.map(({ data }) => data).join()];
  };
  const names = [
    [`${id}`, "A-b-c"],
    [`${id}-a`, "A-b-c"],
    [`${id}-a`, "b-c"],
    [`${id}`, "a-b-c"],
    [`${id}`, "A:b"],
    [`${id}`, "A.b"],
    [`${id}`, "A~b"],
  ] as const;
  for (const [store, streamId] of names) {
    const body = JSON.stringify({ expectedVersion: "no-stream", events: [{ type: "Named", data: `${store}/${streamId}` }] });
    const { status } = await SELF.fetch(`https://edge.example/v1/${store}/streams/${streamId}`, { method: "POST", body });
    expect([streamId, status]).toEqual([streamId, 201]);
  }
  for (const [store, streamId] of names) expect(await read(store, streamId)).toEqual([200, `${store}/${streamId}`]);
  // What could be read as another store's path is no name.
  for (const [store, streamId] of [
    [id, `..%2f${id}-a%2fA-b-c`],
    [id, "A-b-c%2f..%2fA-b-c"],
    [`${id}%2f${id}`, "A-b-c"],
    [id.toUpperCase(), "A-b-c"],
  ] as const) {
    expect([400, 404]).toContain((await read(store, streamId))[0]);
  }
});
