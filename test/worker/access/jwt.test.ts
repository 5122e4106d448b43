import { createExecutionContext, env, runInDurableObject } from "cloudflare:test";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { beforeAll, expect, test, vi } from "vitest";
import { toBearerProtocol } from "../../../shared/wire/feed-socket.ts";
import { hasRepeatedKey } from "../../../worker/access/jwt.ts";
import { createEdge } from "../../../worker/index.ts";
import { event, newStore } from "../edge-calls.ts";

const SECRET = "a secret that is long enough for HS256, as RFC 7518 wants it";
const NOW = Math.floor(Date.now() / 1000);
const ALL = [{ store: "*", streams: ["*"], can: ["read", "append"] }];
const edge = createEdge();

type Settings = Record<string, string>;

function call(settings: Settings, path: string, token: string | undefined, body?: object, others: HeadersInit = {}): Promise<Response> {
  const headers = new Headers(others);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const init = body === undefined ? { headers } : { headers, method: "POST", body: JSON.stringify(body) };
  const bindings = { STREAMS: env.STREAMS, LOGS: env.LOGS, LOG: "faults", ...settings };
  return Promise.resolve(edge.fetch(new Request(`https://edge.example/v1/${path}`, init), bindings, createExecutionContext()));
}

/** A WebSocket's handshake, with the token where a browser can put it. */
function upgrade(settings: Settings, path: string, token: string | undefined): Promise<Response> {
  const protocol = token === undefined || token === "" ? "headwater.v1" : `headwater.v1, bearer.${token}`;
  return call(settings, path, undefined, undefined, { upgrade: "websocket", "sec-websocket-protocol": protocol });
}

/** A good token, but for what is said. */
function sign(claims: JWTPayload = {}, header: object = {}, key: string | CryptoKey = SECRET): Promise<string> {
  const payload = { sub: "ann", exp: NOW + 60, headwater: ALL, ...claims };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(typeof key === "string" ? new TextEncoder().encode(key) : key);
}

function encode(value: string): string {
  return btoa(value).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Signed with the secret, whatever the text is. */
async function signText(payload: string, header = '{"alg":"HS256"}'): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(SECRET), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(input));
  return `${input}.${encode(String.fromCharCode(...new Uint8Array(signature)))}`;
}

let ours: CryptoKeyPair;
let foreign: CryptoKeyPair;
let jwks: string;
let pem: string;

beforeAll(async () => {
  ours = await generateKeyPair("ES256", { extractable: true });
  foreign = await generateKeyPair("ES256", { extractable: true });
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(ours.publicKey)), kid: "ours", alg: "ES256" }] });
  pem = await exportSPKI(ours.publicKey);
});

test("a good token lets in what it grants, and its sub is the actor", async () => {
  const { id } = newStore();
  const token = await sign();
  expect((await call({ JWT_SECRET: SECRET }, `${id}/streams/A-1`, token, { events: [event()] })).status).toBe(201);
  const page = await (await call({ JWT_SECRET: SECRET, AUTH: "jwt" }, `${id}/streams/A-1`, token)).json<{ events: object[] }>();
  expect(page.events).toMatchObject([{ actor: "ann" }]);
  const keys = { JWT_JWKS: jwks };
  const signed = await sign({}, { alg: "ES256", kid: "ours" }, ours.privateKey);
  expect((await call(keys, `${id}/feed`, signed)).status).toBe(200);
  const bound = { ...keys, JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "headwater" };
  const complete = { iss: "https://issuer.example", aud: ["headwater", "other"] };
  expect((await call(bound, `${id}/feed`, await sign(complete, { alg: "ES256", kid: "ours" }, ours.privateKey))).status).toBe(200);
});

test("a browser's WebSocket brings its token as a subprotocol", async () => {
  const { id } = newStore();
  const response = await upgrade({ JWT_SECRET: SECRET }, `${id}/feed`, await sign());
  expect([response.status, response.headers.get("sec-websocket-protocol")]).toEqual([101, "headwater.v1"]);
  response.webSocket?.accept();
  response.webSocket?.close();
});

test("a token of characters that a subprotocol can't have is encoded in it, and reaches the app's own authenticate", async () => {
  const seen: (string | null)[] = [];
  const own = createEdge({
    authenticate: ({ headers }) => {
      seen.push(headers.get("authorization"));
      return { actor: "ann", grants: [{ store: "*", streams: ["*"], can: ["read"] }] };
    },
  });
  for (const token of ["c2Vzc2lvbg==", "a/b+c~d.e", "ann:1"]) {
    const headers = { upgrade: "websocket", "sec-websocket-protocol": `headwater.v1, ${toBearerProtocol(token)}` };
    const request = new Request(`https://edge.example/v1/${newStore().id}/feed`, { headers });
    const response = await own.fetch(request, { STREAMS: env.STREAMS, LOGS: env.LOGS, LOG: "faults" }, createExecutionContext());
    expect([response.status, response.headers.get("sec-websocket-protocol")]).toEqual([101, "headwater.v1"]);
    response.webSocket?.accept();
    response.webSocket?.close();
  }
  expect(seen).toEqual(["Bearer c2Vzc2lvbg==", "Bearer a/b+c~d.e", "Bearer ann:1"]);
});

test("a JWT that is encoded in the subprotocol lets in too, and one of no use does not", async () => {
  const { id } = newStore();
  const offer = (protocol: string) =>
    call({ JWT_SECRET: SECRET }, `${id}/feed`, undefined, undefined, { upgrade: "websocket", "sec-websocket-protocol": protocol });
  const response = await offer(`headwater.v1, base64url.bearer.${encode(await sign())}`);
  expect(response.status).toBe(101);
  response.webSocket?.accept();
  response.webSocket?.close();
  for (const wrong of ["%", encode("a b"), encode("a\nb"), encode("c2Vzc2lvbg==")]) {
    expect((await offer(`headwater.v1, base64url.bearer.${wrong}`)).status).toBe(401);
  }
});

test.each([
  ["another store's grants", [{ store: "other", streams: ["*"], can: ["read", "append"] }], false],
  ["another stream's grants", [{ store: "*", streams: ["Ticket-*", "Permit-12", "permit-1"], can: ["read", "append"] }], true],
  ["no grants", [], false],
  ["grants of nothing known", [{ store: "*", streams: ["*"], can: ["READ", "write", "*"] }], false],
  ["grants of an ending", [{ store: "*", streams: ["*-1", "Per*1"], can: ["read", "append"] }], true],
])("with %s a stream is neither read nor appended to, whether it is there or not", async (_name, headwater, isOfStore) => {
  const { id, append, feed } = newStore();
  await append("Permit-1", 0, event("Secret"));
  const token = await sign({ headwater });
  const settings = { JWT_SECRET: SECRET };
  for (const stream of ["Permit-1", "Permit-2"]) {
    const body = { expectedVersion: "any", events: [event()] };
    const answers = [await call(settings, `${id}/streams/${stream}`, token), await call(settings, `${id}/streams/${stream}`, token, body)];
    for (const answer of answers) {
      expect([answer.status, (await answer.json<{ code: string }>()).code]).toEqual([403, "forbidden"]);
    }
    const pushed = await call(settings, `${id}/commits`, token, { commits: [{ streamId: stream, events: [event()] }] });
    const rejected = { results: [{ status: "rejected", code: "forbidden" }] };
    // Only a caller with some grant for the store gets a result for each commit, beside the log's id.
    expect([pushed.status, await pushed.json()]).toMatchObject(isOfStore ? [200, rejected] : [403, { code: "forbidden" }]);
  }
  expect((await call(settings, `${id}/health`, token)).status).toBe(403);
  expect(await feed()).toEqual(["#1 Permit-1@1"]);
});

test("reading does not let append, nor appending read", async () => {
  const { id } = newStore();
  const settings = { JWT_SECRET: SECRET };
  const reads = await sign({ headwater: [{ store: id, streams: ["*"], can: ["read"] }] });
  const appends = await sign({ headwater: [{ store: id, streams: ["*"], can: ["append"] }] });
  expect((await call(settings, `${id}/streams/A-1`, reads, { events: [event()] })).status).toBe(403);
  expect((await call(settings, `${id}/streams/A-1`, appends, { events: [event()] })).status).toBe(201);
  for (const path of ["/streams/A-1", "/streams", "/feed", "/health"]) {
    expect((await call(settings, id + path, appends)).status).toBe(403);
    expect((await call(settings, id + path, reads)).status).toBe(200);
  }
});

const BOUND = { JWT_SECRET: SECRET, JWT_ISSUER: "https://issuer.example", JWT_AUDIENCE: "headwater" };
const bound = (claims: JWTPayload) => sign({ iss: "https://issuer.example", aud: "headwater", ...claims });

const WRONG: [name: string, settings: () => Settings, token: () => Promise<string | undefined>][] = [
  ["none", () => ({ JWT_SECRET: SECRET }), async () => undefined],
  ["an empty one", () => ({ JWT_SECRET: SECRET }), async () => ""],
  ["what is no JWT", () => ({ JWT_SECRET: SECRET }), async () => "abc.def.ghi"],
  ["the secret itself", () => ({ JWT_SECRET: SECRET }), async () => encode(SECRET)],
  [
    "one without an algorithm",
    () => ({ JWT_SECRET: SECRET }),
    async () => `${encode('{"alg":"none"}')}.${encode(JSON.stringify({ sub: "ann", exp: NOW + 60, headwater: ALL }))}.`,
  ],
  ["one whose algorithm is none, with a signature", () => ({ JWT_SECRET: SECRET }), () => signText('{"exp":9999999999}', '{"alg":"none"}')],
  ["HS256 signed with the public key's PEM", () => ({ JWT_JWKS: jwks }), () => sign({}, { kid: "ours" }, pem)],
  ["HS256 signed with the public key's JWK", () => ({ JWT_JWKS: jwks }), () => sign({}, { kid: "ours" }, jwks)],
  ["HS384 where HS256 is pinned", () => ({ JWT_SECRET: SECRET }), () => sign({}, { alg: "HS384" })],
  ["another secret's", () => ({ JWT_SECRET: SECRET }), () => sign({}, {}, `${SECRET}!`)],
  [
    "one signed by a foreign key under a known id",
    () => ({ JWT_JWKS: jwks }),
    () => sign({}, { alg: "ES256", kid: "ours" }, foreign.privateKey),
  ],
  ["an unknown key id", () => ({ JWT_JWKS: jwks }), () => sign({}, { alg: "ES256", kid: "theirs" }, ours.privateKey)],
  [
    "one that brings its own key",
    () => ({ JWT_JWKS: jwks }),
    async () => sign({}, { alg: "ES256", jwk: await exportJWK(foreign.publicKey) }, foreign.privateKey),
  ],
  ["one without exp", () => ({ JWT_SECRET: SECRET }), () => signText(JSON.stringify({ sub: "ann", headwater: ALL }))],
  ["exp as a text", () => ({ JWT_SECRET: SECRET }), () => signText(`{"sub":"ann","exp":"${NOW + 60}"}`)],
  ["exp that is null", () => ({ JWT_SECRET: SECRET }), () => signText('{"sub":"ann","exp":null}')],
  ["exp beyond any number", () => ({ JWT_SECRET: SECRET }), () => signText('{"sub":"ann","exp":1e999}')],
  ["an expired one", () => ({ JWT_SECRET: SECRET }), () => sign({ exp: NOW - 60 })],
  ["one that is not valid yet", () => ({ JWT_SECRET: SECRET }), () => sign({ nbf: NOW + 60 })],
  ["another issuer's", () => BOUND, () => bound({ iss: "https://issuer.example.evil.example" })],
  ["one without an issuer", () => BOUND, () => sign({ aud: "headwater" })],
  ["one for another audience", () => BOUND, () => bound({ aud: "other" })],
  ["one for no audience", () => BOUND, () => sign({ iss: "https://issuer.example" })],
  ["a claim that stands twice", () => ({ JWT_SECRET: SECRET }), () => signText(`{"sub":"ann","exp":${NOW + 60},"sub":"bob"}`)],
  [
    "a claim that stands twice, spelled otherwise",
    () => ({ JWT_SECRET: SECRET }),
    () => signText(`{"exp":${NOW - 60},"\\u0065xp":${NOW + 60}}`),
  ],
  ["an algorithm that stands twice", () => ({ JWT_SECRET: SECRET }), () => signText(`{"exp":${NOW + 60}}`, '{"alg":"none","alg":"HS256"}')],
  ["grants of no known form", () => ({ JWT_SECRET: SECRET }), () => sign({ headwater: "*" })],
  ["a sub that is no text", () => ({ JWT_SECRET: SECRET }), () => signText(`{"sub":7,"exp":${NOW + 60}}`)],
  ["a sub that no event can carry", () => ({ JWT_SECRET: SECRET }), () => sign({ sub: "a\nb" })],
  ["a good one where the secret is too short", () => ({ JWT_SECRET: "short" }), () => sign({}, {}, "short")],
  ["a good one where no key is set", () => ({}), () => sign()],
  ["a good one where two kinds of keys are set", () => ({ JWT_SECRET: SECRET, JWT_JWKS: jwks }), () => sign()],
  ["a good one where the key set is none", () => ({ JWT_JWKS: "{" }), () => sign()],
  ["a good one where AUTH is something else", () => ({ AUTH: "JWT", JWT_SECRET: SECRET }), () => sign()],
];

test.each(WRONG)("forged tokens: %s is refused everywhere, learns nothing and writes nothing", async (_name, settings, makeToken) => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { id, append, feed } = newStore();
  await append("Permit-1", 0, event("Secret"));
  const token = await makeToken();
  const answers = await Promise.all([
    call(settings(), `${id}/streams/Permit-1`, token, { events: [event()] }),
    call(settings(), `${id}/commits`, token, { commits: [{ streamId: "Permit-1", events: [event()] }] }),
    ...["/streams/Permit-1", "/streams/Nothing-1", "/streams", "/feed", "/health"].map((path) => call(settings(), id + path, token)),
    upgrade(settings(), `${id}/feed`, token),
    call(settings(), `${id}/feed`, token, undefined, { accept: "text/event-stream" }),
  ]);
  for (const answer of answers) {
    const text = await answer.text();
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(JSON.parse(text)).toMatchObject({ code: "unauthenticated" });
    for (const told of ["Permit", "Secret", ...(token === undefined || token === "" ? [] : [token])]) expect(text).not.toContain(told);
  }
  const secrets = [SECRET, ...(token === undefined || token === "" ? [] : [token])];
  for (const line of log.mock.calls.flat()) for (const told of secrets) expect(String(line)).not.toContain(told);
  log.mockRestore();
  expect(await feed()).toEqual(["#1 Permit-1@1"]);
});

test.each([
  ['{"a":1,"b":{"a":2}}', false],
  ['{"a":[{"a":1},{"a":2}],"b":"\\"a\\":,{"}', false],
  ['{"a":1,"a":2}', true],
  ['{"b":[1,{"c":1,"\\u0063":2}]}', true],
  ['["a","a"]', false],
  ['{"a":"a","b":["a","b"]}', false],
])("%s repeats a key: %s", (text, repeated) => {
  expect(hasRepeatedKey(text)).toBe(repeated);
});

test("a token that is valid for thousands of years: its socket's alarm is one that can be set, and goes off early", async () => {
  const store = newStore();
  const response = await upgrade({ JWT_SECRET: SECRET }, `${store.id}/feed`, await sign({ exp: 9_000_000_000_000 }));
  expect(response.status).toBe(101);
  response.webSocket?.accept();
  const before = Date.now();
  const alarm = await runInDurableObject(env.LOGS.getByName(store.id), (_, state) => state.storage.getAlarm());
  expect(alarm).toBeGreaterThan(before);
  expect(alarm).toBeLessThanOrEqual(before + 2 ** 31);
  response.webSocket?.close();
});
