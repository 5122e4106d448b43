/** Every route with every kind of credentials. A route that is not in the table fails the first test. */
import { createExecutionContext, env } from "cloudflare:test";
import { Hono } from "hono";
import type { Router } from "hono/router";
import { type JWTPayload, SignJWT } from "jose";
import { beforeAll, expect, test, vi } from "vitest";
import { createEdge, type EdgeEnv } from "../../../worker/index.ts";
import { stock } from "../../support/shelf.ts";
import { event } from "../edge-calls.ts";
import { newSubscribedStore, SUBSCRIPTIONS, subscribed } from "../edges.ts";

const SECRET = "a secret that is long enough for HS256, as RFC 7518 wants it";
const NOW = Math.floor(Date.now() / 1000);
const AUDIENCE = "headwater";
/** What only a reader of `Permit-1` may see. */
const STREAM = "Permit-1";
const TYPE = "Secret";

interface Form {
  /** Behind the store, or the whole path of a route without a store. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** The status for credentials that grant another stream, reading, appending, administering; 200 for everybody if left out. */
  readonly granted?: readonly [otherStream: number, read: number, append: number, admin: number];
  /** The status for credentials that grant commands alone. Default: as reading for a push, which discloses as much, and 403 for all else. */
  readonly handled?: number;
}

const commits = (...streams: string[]) => streams.map((streamId) => ({ streamId, events: [event()] }));
const SSE = { accept: "text/event-stream" };
const SOCKET = { upgrade: "websocket", "sec-websocket-protocol": "headwater.v1" };
const ELSEWHERE = "00000000-0000-4000-8000-000000000000";
const ADMINISTRATION = [403, 403, 403, 200] as const;

/** Each route in all of its forms, by its name in `/openapi.json`. */
const ROUTES: Record<string, readonly Form[]> = {
  "GET /health": [{ path: "/health" }],
  "GET /openapi.json": [{ path: "/openapi.json" }],
  "POST /v1/{store}/streams/{streamId}": [
    { path: `/streams/${STREAM}`, body: { events: [event()] }, granted: [403, 403, 201, 403] },
    { path: "/streams/Stock-2", body: { events: [event()] }, granted: [403, 403, 201, 403] },
    { path: "/streams/Permit-none", body: { expectedVersion: 7, events: [event()] }, granted: [403, 403, 409, 403] },
  ],
  "POST /v1/{store}/streams/{streamId}/commands": [
    {
      path: "/streams/Stock-1/commands",
      body: { decider: "stock", version: 1, data: { fill: 1 } },
      granted: [403, 403, 201, 403],
      handled: 201,
    },
    { path: "/streams/Stock-1/commands", body: { decider: "stock", version: 2 }, granted: [403, 403, 409, 403], handled: 409 },
    { path: "/streams/Stock-1/commands", body: "not a command", granted: [403, 403, 400, 403], handled: 400 },
    { path: `/streams/${STREAM}/commands`, body: { decider: "stock", version: 1 }, granted: [403, 403, 400, 403] },
  ],
  "GET /v1/{store}/streams/{streamId}": [
    { path: `/streams/${STREAM}`, granted: [403, 200, 403, 403] },
    { path: `/streams/${STREAM}?direction=backwards&limit=1`, granted: [403, 200, 403, 403] },
    { path: "/streams/Permit-nothing", granted: [403, 404, 403, 403] },
  ],
  "GET /v1/{store}/streams": [
    { path: "/streams", granted: [200, 200, 403, 403] },
    { path: "/streams?category=Permit", granted: [200, 200, 403, 403] },
  ],
  "POST /v1/{store}/commits": [
    { path: "/commits", body: { commits: [] }, granted: [200, 200, 200, 403] },
    { path: "/commits", body: { commits: [], position: 1 }, granted: [200, 200, 200, 403] },
    { path: "/commits", body: { commits: [], position: 1_000_000 }, granted: [409, 409, 409, 403] },
    { path: "/commits", body: { commits: [], position: 1, mark: "0".repeat(16) }, granted: [409, 409, 409, 403] },
    { path: "/commits", body: { commits: [], log: ELSEWHERE }, granted: [409, 409, 409, 403] },
    { path: "/commits", body: { commits: commits(STREAM, "Permit-2") }, granted: [200, 200, 200, 403] },
    { path: "/commits", body: { commits: [{ streamId: 7, events: [] }] }, granted: [200, 200, 200, 403] },
    { path: "/commits", body: "not a push", granted: [400, 400, 400, 403] },
  ],
  "GET /v1/{store}/feed": [
    { path: "/feed", granted: [200, 200, 403, 403] },
    { path: `/feed?stream=${STREAM}`, granted: [200, 200, 403, 403] },
    { path: "/feed?after=1000000", granted: [409, 409, 403, 403] },
    { path: `/feed?after=1&mark=${"0".repeat(16)}`, granted: [409, 409, 403, 403] },
    { path: `/feed?log=${ELSEWHERE}`, granted: [409, 409, 403, 403] },
    { path: "/feed?limit=0", granted: [400, 400, 403, 403] },
    { path: "/feed", headers: SSE, granted: [200, 200, 403, 403] },
    { path: "/feed?after=1000000", headers: SSE, granted: [200, 200, 403, 403] },
    { path: "/feed", headers: SOCKET, granted: [101, 101, 403, 403] },
  ],
  "GET /v1/{store}/health": [{ path: "/health", granted: [403, 200, 403, 403] }],
  // `test/worker/log/deletion.test.ts` deletes.
  "DELETE /v1/{store}": [
    { path: "?dryRun=true", granted: ADMINISTRATION },
    { path: "", granted: [403, 403, 403, 400] },
    { path: `?log=${ELSEWHERE}`, granted: [403, 403, 403, 409] },
  ],
  "GET /v1/{store}/restore": [{ path: "/restore", granted: ADMINISTRATION }],
  // The store has events, so it stays open to readers.
  "POST /v1/{store}/restore": [
    { path: "/restore", body: { file: "file", events: 0, mark: "0".repeat(16) }, granted: ADMINISTRATION },
    { path: "/restore", body: { file: "another", events: 0, mark: "0".repeat(16) }, granted: [403, 403, 403, 400] },
  ],
  "POST /v1/{store}/restore/streams": [
    { path: "/restore/streams", body: { restore: ELSEWHERE, streams: [] }, granted: [403, 403, 403, 400] },
    { path: "/restore/streams", body: "not a restore", granted: [403, 403, 403, 400] },
  ],
  "POST /v1/{store}/restore/log": [
    { path: "/restore/log", body: { restore: ELSEWHERE, position: 1, runs: [] }, granted: [403, 403, 403, 400] },
  ],
  "POST /v1/{store}/restore/finish": [{ path: "/restore/finish", body: { restore: ELSEWHERE }, granted: [403, 403, 403, 400] }],
  "POST /v1/{store}/restore/abandon": [{ path: "/restore/abandon", body: { restore: ELSEWHERE }, granted: [403, 403, 403, 400] }],
  "POST /v1/{store}/reconcile/log": [
    { path: "/reconcile/log", body: { after: 0 }, granted: ADMINISTRATION },
    { path: "/reconcile/log", body: { after: 1_000_000 }, granted: [403, 403, 403, 409] },
  ],
  "GET /v1/{store}/reconcile/streams": [
    { path: "/reconcile/streams", granted: ADMINISTRATION },
    { path: "/reconcile/streams?limit=0", granted: [403, 403, 403, 400] },
  ],
  "POST /v1/{store}/reconcile/streams": [
    { path: "/reconcile/streams", body: { streams: [] }, granted: ADMINISTRATION },
    { path: "/reconcile/streams", body: { streams: [{ streamId: "" }] }, granted: [403, 403, 403, 400] },
  ],
  "GET /v1/{store}/subscriptions": [{ path: "/subscriptions", granted: ADMINISTRATION }],
  "GET /v1/{store}/subscriptions/{name}": [
    { path: "/subscriptions/all", granted: ADMINISTRATION },
    { path: "/subscriptions/none", granted: [403, 403, 403, 404] },
  ],
  "POST /v1/{store}/subscriptions/{name}/resume": [{ path: "/subscriptions/all/resume", body: {}, granted: ADMINISTRATION }],
  "POST /v1/{store}/subscriptions/{name}/reset": [
    { path: "/subscriptions/all/reset", body: { position: 0 }, granted: ADMINISTRATION },
    { path: "/subscriptions/all/reset", body: { position: 1_000_000 }, granted: [403, 403, 403, 409] },
  ],
  "POST /v1/{store}/subscriptions/{name}/replay": [{ path: "/subscriptions/all/replay", body: {}, granted: ADMINISTRATION }],
};

/** What a store's credentials are, as the `authorization` header. */
type Credentials = (store: string) => Promise<string | undefined>;

async function sign(grants: unknown, claims: JWTPayload = {}): Promise<string> {
  const token = await new SignJWT({ sub: "ann", aud: AUDIENCE, exp: NOW + 600, headwater: grants, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SECRET));
  return `Bearer ${token}`;
}

const ALL = [{ store: "*", streams: ["*"], can: ["read", "append", "admin"] }];
const grant = (store: string, streams: string[], ...can: string[]) => [{ store, streams, can }];

/** Nobody is known by these: 401. */
const UNKNOWN: Record<string, Credentials> = {
  none: async () => undefined,
  malformed: async () => "Bearer nonsense",
  "of another scheme": async () => "Basic YW5uOnNlY3JldA==",
  expired: () => sign(ALL, { exp: NOW - 600 }),
  "for another audience": () => sign(ALL, { aud: "another" }),
};
/** Nothing of the store is granted by these: 403. */
const UNGRANTED: Record<string, Credentials> = {
  "without a grant": () => sign([]),
  "that grant another store": (store) => sign(grant(`${store}-2`, ["*"], "read", "append", "admin")),
  "that grant no stream": (store) => sign(grant(store, [], "read", "append", "admin")),
  "that grant no action that there is": (store) => sign(grant(store, ["*"], "write")),
};
/** In the order of `Form.granted`. */
const GRANTED: Record<string, Credentials> = {
  "that grant another stream": (store) => sign(grant(store, ["Note-1"], "read", "append")),
  "that grant reading": (store) => sign(grant(store, ["*"], "read")),
  "that grant appending": (store) => sign(grant(store, ["*"], "append")),
  "that grant administering": (store) => sign(grant(store, ["*"], "admin")),
  "that grant commands": (store) => sign(grant(store, ["*"], "handle")),
};
const CREDENTIALS = [UNKNOWN, UNGRANTED, GRANTED].flatMap((kind) => Object.entries(kind));

function expectedOf({ path, granted, handled }: Form, credentials: string): number {
  if (granted === undefined) return 200;
  if (credentials === "that grant commands") return handled ?? (path.startsWith("/commits") ? granted[1] : 403);
  if (credentials in UNKNOWN) return 401;
  if (credentials in UNGRANTED) return 403;
  return granted[Object.keys(GRANTED).indexOf(credentials)] ?? 0;
}

/** What the router gets while the edge is made. */
const adding = vi.spyOn<Router<unknown>, "add">(Object.getPrototypeOf(new Hono().router), "add");
const edge = createEdge({ subscriptions: SUBSCRIPTIONS, deciders: { Stock: stock } });
/** As `/openapi.json` names them. Middleware has the method ALL. */
const REGISTERED = new Set(
  adding.mock.calls.flatMap(([method, path]) => (method === "ALL" ? [] : `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`)),
);
adding.mockRestore();

/** The bindings, and every object that was looked for. */
function watched() {
  const objects: string[] = [];
  const own = subscribed.envOf(env);
  const watch = <N extends object>(name: string, namespace: N) =>
    new Proxy(namespace, {
      get: (_, method) => {
        objects.push(`${name}.${String(method)}`);
        const value: unknown = Reflect.get(namespace, method);
        return typeof value === "function" ? value.bind(namespace) : value;
      },
    });
  const { SUBSCRIPTIONS: named } = own;
  if (named === undefined) throw new Error("this edge has subscriptions");
  const settings: EdgeEnv = {
    STREAMS: watch("STREAMS", own.STREAMS),
    LOGS: watch("LOGS", own.LOGS),
    SUBSCRIPTIONS: watch("SUBSCRIPTIONS", named),
    LOG: "faults",
    JWT_SECRET: SECRET,
    JWT_AUDIENCE: AUDIENCE,
  };
  return { objects, settings };
}

interface Told {
  readonly status: number;
  readonly text: string;
  readonly objects: readonly string[];
}

async function call(method: string, url: string, { headers, body }: Form, authorization: string | undefined): Promise<Told> {
  const { objects, settings } = watched();
  const init = {
    method,
    headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  };
  const response = await edge.fetch(new Request(url, init), settings, createExecutionContext());
  if (response.status === 401) expect(response.headers.get("www-authenticate")).toBe("Bearer");
  response.webSocket?.accept();
  response.webSocket?.close();
  const isEndless = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const text = isEndless ? await firstOf(response) : await response.text();
  return { status: response.status, text, objects };
}

async function firstOf({ body }: Response): Promise<string> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  const text = (await reader?.read())?.value ?? "";
  await reader?.cancel();
  return text;
}

/** What nobody learns who may not read `Permit-1`; the log's id and what else only the store's own credentials may see. */
let secrets: { readonly store: string; readonly events: readonly string[]; readonly log: string };

beforeAll(async () => {
  const store = newSubscribedStore(subscribed);
  const secret = event(TYPE);
  await store.append(STREAM, 0, secret);
  secrets = { store: store.id, events: [STREAM, TYPE, secret.id], log: (await store.request("/feed")).body.log };
});

test("the table has every route of the edge, and so has /openapi.json", async () => {
  const registered = [...REGISTERED].toSorted();
  expect(Object.keys(ROUTES).toSorted()).toEqual(registered);
  const response = await edge.fetch(new Request("https://edge.example/openapi.json"), watched().settings, createExecutionContext());
  const { paths } = await response.json<{ paths: Record<string, Record<string, object>> }>();
  const described = Object.entries(paths).flatMap(([path, { parameters: _, ...methods }]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.toSorted()).toEqual(registered);
});

const CASES = Object.entries(ROUTES).flatMap(([route, forms]) =>
  CREDENTIALS.map(([name, credentials]) => [route, name, forms, credentials] as const),
);

test.each(CASES)("%s with credentials %s", async (route, name, forms, credentials) => {
  const [routeMethod = "", path = ""] = route.split(" ");
  const isOfStore = path.startsWith("/v1/");
  for (const form of forms) {
    const expected = expectedOf(form, name);
    // A HEAD is a GET that discloses its headers.
    const methods = routeMethod === "GET" && form.headers === undefined ? ["GET", "HEAD"] : [routeMethod];
    for (const method of methods) {
      const answers: Told[] = [];
      for (const store of isOfStore ? [secrets.store, crypto.randomUUID()] : [secrets.store]) {
        const prefix = isOfStore ? `https://edge.example/v1/${store}` : "https://edge.example";
        answers.push(await call(method, prefix + form.path, form, await credentials(store)));
        if (expected !== 401 && expected !== 403) break;
      }
      const shown = `${method} ${form.path} ${JSON.stringify([form.headers, form.body])}`;
      expect([shown, ...new Set(answers.map(({ status }) => status))]).toEqual([shown, expected]);
      const [{ text, objects }] = answers as [Told];
      if (!name.includes("reading")) for (const secret of secrets.events.slice(1)) expect(text).not.toContain(secret);
      if (expected === 401 || expected === 403) {
        // No object wakes, and a store that is there is answered as one that is not, to the letter.
        expect([shown, objects]).toEqual([shown, []]);
        expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
        expect(text).not.toContain(secrets.log);
      }
    }
  }
});

test("a path without a route is told nothing else: nobody 401, without a grant 403, with one 404, and no object wakes", async () => {
  for (const [name, credentials] of CREDENTIALS) {
    const authorization = await credentials(secrets.store);
    for (const [method, path] of [
      ["GET", "/nothing"],
      ["PUT", "/feed"],
      ["DELETE", `/streams/${STREAM}`],
      ["GET", "/commits"],
    ] as const) {
      const { status, objects } = await call(method, `https://edge.example/v1/${secrets.store}${path}`, { path }, authorization);
      expect([name, path, status, objects]).toEqual([name, path, name in UNKNOWN ? 401 : name in UNGRANTED ? 403 : 404, []]);
    }
  }
});

test("a push without a grant makes no object of any store, however many names it tries", async () => {
  const authorization = await sign(grant("another", ["*"], "append"));
  const found: string[] = [];
  for (let i = 0; i < 50; i++) {
    const { status, objects } = await call(
      "POST",
      `https://edge.example/v1/guess-${i}/commits`,
      { path: "", body: { commits: [] } },
      authorization,
    );
    expect(status).toBe(403);
    found.push(...objects);
  }
  expect(found).toEqual([]);
});

test("commits that are all rejected wake no stream", async () => {
  const authorization = await sign(grant(secrets.store, ["Note-1"], "append"));
  const body = { commits: commits(STREAM, "Permit-2") };
  const { text, objects } = await call("POST", `https://edge.example/v1/${secrets.store}/commits`, { path: "", body }, authorization);
  expect(JSON.parse(text)).toMatchObject({
    results: [
      { status: "rejected", code: "forbidden" },
      { status: "rejected", code: "forbidden" },
    ],
  });
  expect(new Set(objects)).toEqual(new Set(["LOGS.getByName"]));
});
