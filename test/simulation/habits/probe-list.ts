/** Requests of every form, with the answer that each must get. */
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { GRANTS_CLAIM } from "../../../shared/edge/token.ts";
import { BODY_BYTES } from "../poison.ts";
import { SECRET, signGrants, signToken } from "../token.ts";

/** A store that nobody else uses. */
const STORE = "probed";
const V1 = `/v1/${STORE}`;
const FOREVER = Number.POSITIVE_INFINITY;
const ALL = { stores: [STORE], until: FOREVER };

export interface Probe {
  readonly what: string;
  readonly path: string;
  readonly init?: RequestInit;
  /** Settings of the deployment in the place of the world's. */
  readonly vars?: object;
  readonly status: number;
  readonly code?: string;
  readonly field?: string;
}

const invalid = (field: string) => ({ status: 400, code: "invalid-request", field }) as const;
const UNAUTHENTICATED = { status: 401, code: "unauthenticated" } as const;
const FORBIDDEN = { status: 403, code: "forbidden" } as const;

function as(token: string, headers: Record<string, string> = {}): RequestInit {
  return { headers: { authorization: `Bearer ${token}`, ...headers } };
}

const USER = signToken("probe", ALL);
const ADMIN = signToken("probe", ALL, ["read", "append", "admin"]);
const PARTLY = signGrants("probe", FOREVER, [{ store: STORE, streams: ["Permit-1", "Permit-2", "Ticket*"], can: ["read"] }]);

function post(body: unknown, headers: Record<string, string> = {}): RequestInit {
  const text = body instanceof Uint8Array || typeof body === "string" ? body : JSON.stringify(body);
  return { ...as(USER, headers), method: "POST", body: text as BodyInit };
}

const APPEND = `${V1}/streams/Permit-1`;
const event = (given: object) => ({ events: [{ type: "Noted", data: {}, ...given }] });
const [A, B] = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"];
const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)]);

const OPEN: readonly Probe[] = [
  { what: "the edge's health", path: "/health", status: 200 },
  { what: "an unknown route", path: "/v2", status: 404, code: "invalid-request", field: "path" },
  { what: "no token", path: `${V1}/feed`, ...UNAUTHENTICATED },
  { what: "open to all", path: `${V1}/feed`, vars: { AUTH: "open" }, status: 200 },
  { what: "a misspelled AUTH", path: `${V1}/feed`, vars: { AUTH: "opne" }, ...UNAUTHENTICATED },
  { what: "each request logged", path: `${V1}/feed`, init: as(USER), vars: { LOG: "" }, status: 200 },
  { what: "a fault logged", path: `${V1}/feed`, init: as("x.y.z"), vars: { LOG: "all", JWT_SECRET: "short" }, ...UNAUTHENTICATED },
];

const TOKENS: readonly Probe[] = [
  ["not a token", "abc"],
  ["too long", "a".repeat(20_000)],
  ["signed by another key", `${USER.slice(0, -4)}AAAA`],
  ["expired", signToken("probe", { stores: [STORE], until: -100_000 })],
  ["a list of grants that is none", signGrants("probe", FOREVER, [{ store: STORE } as never])],
  ["a subject that can't be an actor", signToken("\n", ALL)],
].map(([what = "", token = ""]) => ({ what: `a token: ${what}`, path: `${V1}/feed`, init: as(token), ...UNAUTHENTICATED }));

const PRIVATE = createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]),
  format: "der",
  type: "pkcs8",
});
const JWKS = JSON.stringify({ keys: [{ ...createPublicKey(PRIVATE).export({ format: "jwk" }), alg: "EdDSA", use: "sig" }] });

function signedByKey(payload: object): string {
  const parts = [{ alg: "EdDSA" }, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${parts}.${sign(null, Buffer.from(parts), PRIVATE).toString("base64url")}`;
}

const CLAIMS = { sub: "probe", exp: 4_000_000_000, [GRANTS_CLAIM]: [{ store: STORE, streams: ["*"], can: ["read"] }] };
const keys = (jwks: string, other: object = {}) => ({ JWT_SECRET: undefined, JWT_JWKS: jwks, ...other });

const KEYS: readonly Probe[] = [
  { what: "a token of a public key", path: `${V1}/feed`, init: as(signedByKey(CLAIMS)), vars: keys(JWKS), status: 200 },
  {
    what: "a token of the issuer and for the audience",
    path: `${V1}/feed`,
    init: as(signedByKey({ ...CLAIMS, iss: "me", aud: ["you"] })),
    vars: keys(JWKS, { JWT_ISSUER: "me", JWT_AUDIENCE: "you" }),
    status: 200,
  },
  {
    what: "a token of another issuer",
    path: `${V1}/feed`,
    init: as(signedByKey(CLAIMS)),
    vars: keys(JWKS, { JWT_ISSUER: "me" }),
    ...UNAUTHENTICATED,
  },
  {
    what: "a subject that is no text",
    path: `${V1}/feed`,
    init: as(signedByKey({ ...CLAIMS, sub: 1 })),
    vars: keys(JWKS),
    ...UNAUTHENTICATED,
  },
  {
    what: "a token without an end",
    path: `${V1}/feed`,
    init: as(signedByKey({ ...CLAIMS, exp: undefined })),
    vars: keys(JWKS),
    ...UNAUTHENTICATED,
  },
  {
    what: "no grants at all",
    path: `${V1}/feed`,
    init: as(signedByKey({ ...CLAIMS, [GRANTS_CLAIM]: undefined })),
    vars: keys(JWKS),
    ...FORBIDDEN,
  },
  { what: "a secret's token for public keys", path: `${V1}/feed`, init: as(USER), vars: keys(JWKS), ...UNAUTHENTICATED },
  { what: "keys that can't be fetched", path: `${V1}/feed`, init: as(signedByKey(CLAIMS)), vars: keys("http://keys/"), status: 503 },
  { what: "keys that are none", path: `${V1}/feed`, init: as(USER), vars: keys("keys"), ...UNAUTHENTICATED },
  { what: "no key", path: `${V1}/feed`, init: as(USER), vars: keys(""), ...UNAUTHENTICATED },
  { what: "two keys", path: `${V1}/feed`, init: as(USER), vars: { JWT_SECRET: SECRET, JWT_JWKS: JWKS }, ...UNAUTHENTICATED },
];

const BODIES: readonly Probe[] = [
  { what: "a coded body", path: APPEND, init: post("{}", { "content-encoding": "gzip" }), ...invalid("content-encoding") },
  { what: "a body that is not JSON", path: APPEND, init: post("{"), ...invalid("body") },
  { what: "no body", path: APPEND, init: { ...as(USER), method: "POST" }, ...invalid("body") },
  { what: "a body that is not UTF-8", path: APPEND, init: post(new Uint8Array([123, 255, 125])), ...invalid("body") },
  {
    what: "a body that is too long",
    path: APPEND,
    init: post("x".repeat(BODY_BYTES + 1)),
    status: 413,
    code: "payload-too-large",
    field: "body",
  },
  { what: "no events", path: APPEND, init: post({ events: [] }), ...invalid("events") },
  { what: "an event that is none", path: APPEND, init: post({ events: [1] }), ...invalid("events[0]") },
  { what: "an event without data", path: APPEND, init: post({ events: [{ type: "Noted" }] }), ...invalid("events[0].data") },
  { what: "an event without a type", path: APPEND, init: post(event({ type: "" })), ...invalid("events[0].type") },
  { what: "an id that is none", path: APPEND, init: post(event({ id: "1" })), ...invalid("events[0].id") },
  {
    what: "an id twice",
    path: APPEND,
    init: post({ events: [A, A].map((id) => ({ id, type: "Noted", data: {} })) }),
    ...invalid("events[1].id"),
  },
  { what: "a time that is none", path: APPEND, init: post(event({ occurredAt: "today" })), ...invalid("events[0].occurredAt") },
  { what: "metadata that is none", path: APPEND, init: post(event({ metadata: { causationId: 1 } })), ...invalid("events[0].metadata") },
  {
    what: "data that is too deep",
    path: APPEND,
    init: post(event({ data: nested(70) })),
    status: 413,
    code: "payload-too-large",
    field: "events[0].data",
  },
  {
    what: "an expectation that is none",
    path: APPEND,
    init: post({ ...event({}), expectedVersion: "some" }),
    ...invalid("expectedVersion"),
  },
  { what: "a stream that is none", path: `${V1}/streams/1`, init: post(event({})), ...invalid("streamId") },
  { what: "a mark without a position", path: `${V1}/commits`, init: post({ mark: "x", commits: [] }), ...invalid("position") },
  {
    what: "a push on another log",
    path: `${V1}/commits`,
    init: post({ log: B, position: 0, commits: [] }),
    status: 409,
    code: "log-mismatch",
  },
];

const QUERIES: readonly Probe[] = [
  { what: "a store that is none", path: "/v1/UPPER/feed", init: as(USER), ...invalid("store") },
  { what: "a direction that is none", path: `${APPEND}?direction=sideways`, init: as(USER), ...invalid("direction") },
  { what: "a limit that is none", path: `${APPEND}?limit=0`, init: as(USER), ...invalid("limit") },
  { what: "a limit twice", path: `${APPEND}?limit=1&limit=2`, init: as(USER), ...invalid("limit") },
  { what: "a position that is none", path: `${V1}/feed?after=-1`, init: as(USER), ...invalid("after") },
  { what: "a position ahead", path: `${V1}/feed?after=1000000`, init: as(USER), status: 409, code: "position-ahead" },
  { what: "another log", path: `${V1}/feed?log=${A}`, init: as(USER), status: 409, code: "log-mismatch" },
  { what: "a time that is none", path: `${V1}/feed?since=today`, init: as(USER), ...invalid("since") },
  { what: "no stream", path: `${V1}/streams/Permit-9`, init: as(USER), status: 404, code: "stream-not-found" },
  { what: "a category that is none", path: `${V1}/streams?category=1`, init: as(USER), ...invalid("category") },
  {
    what: "another subprotocol",
    path: `${V1}/feed`,
    init: as(USER, { upgrade: "websocket", "sec-websocket-protocol": "chat" }),
    ...invalid("sec-websocket-protocol"),
  },
  {
    what: "a last event that is none",
    path: `${V1}/feed`,
    init: as(USER, { accept: "text/event-stream", "last-event-id": "x" }),
    ...invalid("last-event-id"),
  },
];

const ACCESS: readonly Probe[] = [
  { what: "the store's health for all of it", path: `${V1}/health`, init: as(USER), status: 200 },
  { what: "the store's health for a part of it", path: `${V1}/health`, init: as(PARTLY), ...FORBIDDEN },
  { what: "another store", path: "/v1/other/feed", init: as(USER), ...FORBIDDEN },
  { what: "a stream in reach", path: `${V1}/streams/Ticket-9`, init: as(PARTLY), status: 404, code: "stream-not-found" },
  { what: "a stream out of reach", path: `${V1}/streams/Permit-3`, init: as(PARTLY), ...FORBIDDEN },
  { what: "an append that is not allowed", path: APPEND, init: { ...post(event({})), ...as(PARTLY), method: "POST" }, ...FORBIDDEN },
  { what: "subscriptions for a user", path: `${V1}/subscriptions`, init: as(USER), ...FORBIDDEN },
  {
    what: "a subscription that is none",
    path: `${V1}/subscriptions/none`,
    init: as(ADMIN),
    status: 404,
    code: "invalid-request",
    field: "name",
  },
  { what: "subscriptions", path: `${V1}/subscriptions`, init: as(ADMIN), status: 200 },
  { what: "a limiter that lets in", path: `${V1}/feed`, init: as(USER), vars: limiter(async () => ({ success: true })), status: 200 },
  {
    what: "a limiter that lets nobody in",
    path: `${V1}/feed`,
    vars: { AUTH: "open", ...limiter(async () => ({ success: false })) },
    status: 429,
    code: "too-many-requests",
  },
  {
    what: "a limiter that fails",
    path: `${V1}/feed`,
    init: as(USER),
    vars: limiter(async () => {
      throw new Error("The limiter is down.");
    }),
    status: 200,
  },
];

function limiter(limit: (given: { readonly key: string }) => Promise<{ readonly success: boolean }>): object {
  return { RATE_LIMITER: { limit } };
}

const from = (origin: string, method = "GET") => ({ ...as(USER, { origin }), method });

const ORIGINS: readonly Probe[] = [
  { what: "its own origin", path: `${V1}/feed`, init: from("http://edge"), status: 200 },
  { what: "the preflight of its own origin", path: `${V1}/feed`, init: from("http://edge", "OPTIONS"), status: 204 },
  { what: "another origin", path: `${V1}/feed`, init: from("http://evil"), ...FORBIDDEN },
  {
    what: "a listed origin",
    path: `${V1}/feed`,
    init: from("http://app"),
    vars: { ALLOWED_ORIGINS: "http://x, http://app," },
    status: 200,
  },
  {
    what: "an origin that is not listed",
    path: `${V1}/feed`,
    init: from("http://edge"),
    vars: { ALLOWED_ORIGINS: "http://app" },
    ...FORBIDDEN,
  },
  { what: "a development server", path: `${V1}/feed`, init: from("http://localhost:5173"), vars: { AUTH: "open" }, status: 200 },
  { what: "an origin that is none", path: `${V1}/feed`, init: from("null"), vars: { AUTH: "open" }, ...FORBIDDEN },
];

/** @param hasSubscriptions whether the edge has subscriptions; if not, it has no routes for them */
export function probesOf(hasSubscriptions: boolean): readonly Probe[] {
  const probes = [...OPEN, ...TOKENS, ...KEYS, ...BODIES, ...QUERIES, ...ACCESS, ...ORIGINS];
  if (hasSubscriptions) {
    return [...probes, { what: "no binding", path: `${V1}/feed`, init: as(USER), vars: { SUBSCRIPTIONS: undefined }, status: 503 }];
  }
  return probes;
}
