/** Tokens that are verified by keys at an address, which answers, fails or hangs. */
import { createExecutionContext, env } from "cloudflare:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { FAILURE_PAUSE, FRESH, GONE, TRUSTED, UNKNOWN_PAUSE } from "../../../shared/edge/key-set.ts";
import { createEdge } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { newStore } from "../edge-calls.ts";

const edge = createEdge();
const GRANTS = [{ store: "*", streams: ["*"], can: ["read"] }];

let ours: CryptoKeyPair;
let next: CryptoKeyPair;
beforeAll(async () => {
  ours = await generateKeyPair("ES256", { extractable: true });
  next = await generateKeyPair("ES256", { extractable: true });
});

async function setOf(keys: Readonly<Record<string, CryptoKeyPair>>): Promise<string> {
  const jwks = Object.entries(keys).map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid, alg: "ES256" }));
  return JSON.stringify({ keys: await Promise.all(jwks) });
}

function sign(kid: string, { privateKey }: CryptoKeyPair): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 60;
  return new SignJWT({ sub: "ann", exp, headwater: GRANTS }).setProtectedHeader({ alg: "ES256", kid }).sign(privateKey);
}

/** How the address answers; by default with the key `ours`. */
let answer: () => Promise<Response>;
let fetches = 0;
let faults: string[];
let settings: { JWT_JWKS: string };

beforeEach(async () => {
  // The timers stay real: the runtime's own calls need them.
  vi.useFakeTimers({ toFake: ["Date"] });
  const jwks = await setOf({ ours });
  answer = async () => new Response(jwks);
  fetches = 0;
  faults = [];
  settings = { JWT_JWKS: `https://keys.example/${crypto.randomUUID()}.json` };
  vi.spyOn(globalThis, "fetch").mockImplementation(() => {
    fetches++;
    return answer();
  });
  vi.spyOn(console, "error").mockImplementation((line) => void faults.push(JSON.parse(line).where));
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds);
}

const { id } = newStore();

async function call(token: string): Promise<Response> {
  const request = new Request(`https://edge.example/v1/${id}/feed`, { headers: { authorization: `Bearer ${token}` } });
  return edge.fetch(request, { STREAMS: env.STREAMS, LOGS: env.LOGS, LOG: "faults", ...settings }, createExecutionContext());
}

async function statusOf(token: string): Promise<number> {
  const response = await call(token);
  await response.text();
  return response.status;
}

const refused = () => Promise.reject(new TypeError("no network"));

test("keys are fetched once for many requests, also for those that come while they are fetched", async () => {
  const token = await sign("ours", ours);
  expect(await Promise.all([1, 2, 3, 4].map(() => statusOf(token)))).toEqual([200, 200, 200, 200]);
  for (let i = 0; i < 4; i++) expect(await statusOf(token)).toBe(200);
  expect(fetches).toBe(1);
  pass(FRESH);
  expect([await statusOf(token), fetches]).toEqual([200, 2]);
});

test("keys that were good are good for an hour if they can't be fetched, with one fetch for each pause and one fault logged for each", async () => {
  expect(await statusOf(await sign("ours", ours))).toBe(200);
  const fetchedAt = Date.now();
  answer = refused;
  pass(FRESH);
  for (let i = 0; i < 5; i++) expect(await statusOf(await sign("ours", ours))).toBe(200);
  expect([fetches, faults]).toEqual([2, ["keys"]]);
  pass(FAILURE_PAUSE);
  for (let i = 0; i < 5; i++) expect(await statusOf(await sign("ours", ours))).toBe(200);
  expect([fetches, faults]).toEqual([3, ["keys", "keys"]]);
  pass(fetchedAt + TRUSTED - 1 - Date.now());
  expect(await statusOf(await sign("ours", ours))).toBe(200);
  pass(1);
  expect(await statusOf(await sign("ours", ours))).toBe(503);
});

test.each([
  ["is refused", refused],
  ["is answered with an error", async () => new Response("{}", { status: 500 })],
  ["is answered with something else", async () => new Response("<html>")],
  ["is answered with what is no key set", async () => new Response('{"keys":7}')],
])("a fetch that %s is a fault of the edge's, not the caller's, and is not sent again for each request", async (_name, fails) => {
  answer = fails;
  const tokens = [await sign("ours", ours), await sign("ours", ours), await sign("junk", next)];
  for (const token of tokens) {
    const response = await call(token);
    expect([response.status, response.headers.get("retry-after"), (await response.json<{ code: string }>()).code]).toEqual([
      503,
      String(FAILURE_PAUSE / 1000),
      "unavailable",
    ]);
  }
  expect([fetches, faults]).toEqual([1, ["keys"]]);
  pass(FAILURE_PAUSE);
  answer = async () => new Response(await setOf({ ours }));
  expect([await statusOf(await sign("ours", ours)), fetches]).toEqual([200, 2]);
});

test("a stranger's junk tokens cause no fetch each, whether the address answers or not", async () => {
  const junk = await sign("junk", next);
  for (let i = 0; i < 10; i++) expect(await statusOf(junk)).toBe(401);
  expect(fetches).toBe(1);
  answer = refused;
  pass(UNKNOWN_PAUSE);
  // It may be a new key that the edge could not fetch yet: the caller may retry.
  for (let i = 0; i < 10; i++) expect(await statusOf(junk)).toBe(503);
  expect([fetches, await statusOf(await sign("ours", ours))]).toEqual([2, 200]);
});

test("a new key is found half a minute after the last fetch", async () => {
  expect(await statusOf(await sign("ours", ours))).toBe(200);
  const jwks = await setOf({ ours, next });
  answer = async () => new Response(jwks);
  expect(await statusOf(await sign("next", next))).toBe(401);
  pass(UNKNOWN_PAUSE);
  expect([await statusOf(await sign("next", next)), fetches]).toEqual([200, 2]);
});

test("while a fetch hangs, known keys are used without waiting, and a caller who needs the fetch waits for it", async () => {
  expect(await statusOf(await sign("ours", ours))).toBe(200);
  let respond: (response: Response) => void = () => undefined;
  answer = () =>
    new Promise((resolve) => {
      respond = resolve;
    });
  pass(FRESH);
  const waiting = statusOf(await sign("next", next));
  await eventually(() => expect(fetches).toBe(2));
  const alsoWaiting = statusOf(await sign("next", next));
  expect(await statusOf(await sign("ours", ours))).toBe(200);
  respond(new Response(await setOf({ ours, next })));
  expect([await waiting, await alsoWaiting, fetches]).toEqual([200, 200, 2]);
});

test("a fetch that ended with its request, without a word, is sent again after the time that it may take", async () => {
  answer = () => new Promise(() => undefined);
  void statusOf(await sign("ours", ours));
  await eventually(() => expect(fetches).toBe(1));
  const jwks = await setOf({ ours });
  answer = async () => new Response(jwks);
  pass(GONE);
  expect([await statusOf(await sign("ours", ours)), fetches]).toEqual([200, 2]);
});
