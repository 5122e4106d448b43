import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { beforeAll, expect, test } from "vitest";
import { Random } from "../random.ts";
import { cryptoOf } from "./crypto.ts";
import { inTask, outcomeOf, TestWorld } from "./test-loop.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const NOW = Math.floor(Date.now() / 1000);
const GRANTS = [{ store: "*", streams: ["*"], can: ["read"] }];

interface Realm {
  jwtVerify(token: string, key: Uint8Array | CryptoKey): Promise<{ payload: JWTPayload }>;
  sign(claims: JWTPayload, alg: string, key: Uint8Array | CryptoKey): Promise<string>;
  calculateJwkThumbprint(key: object): Promise<string>;
  importJWK(key: object, alg: string): Promise<CryptoKey>;
  exportJWK(key: CryptoKey): Promise<object>;
  /** Of `worker/access/jwt.ts`. */
  verifyToken(token: string, settings: Record<string, string>): Promise<object>;
}

let bundle: string;

/** The Worker's code and jose in a realm whose `crypto` is the stand-in. Nothing of Node's own is patched. */
function realmOf(random = new Random(1)): Realm {
  return new Function("crypto", `${bundle}; return realm;`)(cryptoOf(random));
}

beforeAll(async () => {
  const contents = `
    export { calculateJwkThumbprint, exportJWK, importJWK, jwtVerify } from "jose";
    export { verifyToken } from "./worker/access/jwt.ts";
    import { SignJWT } from "jose";
    export const sign = (claims, alg, key) => new SignJWT(claims).setProtectedHeader({ alg }).sign(key);`;
  const resolveDir = fileURLToPath(new URL("../../..", import.meta.url));
  const stdin = { contents, resolveDir, loader: "js" } as const;
  const { outputFiles } = await build({ stdin, bundle: true, write: false, format: "iife", globalName: "realm", conditions: ["worker"] });
  bundle = outputFiles[0]?.text ?? "";
});

test("random values are the seed's", () => {
  const [first, again, other] = [1, 1, 2].map((seed) => cryptoOf(new Random(seed)));
  const ids = Array.from({ length: 1_000 }, () => first?.randomUUID() ?? "");
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(1_000);
  expect(Array.from({ length: 1_000 }, () => again?.randomUUID())).toEqual(ids);
  expect(other?.randomUUID()).not.toBe(ids[0]);
});

test("an array is filled with random values, from its own first byte to its last", () => {
  const { getRandomValues } = cryptoOf(new Random(1));
  const all = new Uint8Array(12);
  const part = all.subarray(1, 11);
  expect(getRandomValues(part)).toBe(part);
  expect([all[0], all[11], new Set(part).size > 5]).toEqual([0, 0, true]);
  expect(Math.max(...getRandomValues(new Uint32Array(100)))).toBeGreaterThan(2 ** 31);
  expect(() => getRandomValues(new Uint8Array(65_537))).toThrow(expect.objectContaining({ name: "QuotaExceededError" }));
});

test("a token is verified without a thread: the answer is there when the microtasks have run", async () => {
  const token = await new SignJWT({ sub: "ann", headwater: GRANTS })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(NOW + 60)
    .sign(new TextEncoder().encode(SECRET));
  const { jwtVerify, verifyToken } = realmOf();
  await inTask(() => {
    const world = new TestWorld();
    const verified = outcomeOf(jwtVerify(token, new TextEncoder().encode(SECRET)));
    const byWorker = outcomeOf(verifyToken(token, { JWT_SECRET: SECRET }));
    const wrong = outcomeOf(jwtVerify(token, new TextEncoder().encode(SECRET.toUpperCase())));
    const forged = outcomeOf(verifyToken(`${token.slice(0, -4)}AAAA`, { JWT_SECRET: SECRET }));
    world.run();
    expect(verified.resolved).toMatchObject({ payload: { sub: "ann" } });
    expect(byWorker.resolved).toEqual({ actor: "ann", grants: GRANTS, expiresAt: (NOW + 60) * 1000 });
    expect([wrong.rejected, forged.rejected]).toEqual(["JWSSignatureVerificationFailed", "UnauthenticatedError"]);
  });
});

const PUBLIC_KEY_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "RS256", "RS512", "PS256", "PS512"];

test.each(PUBLIC_KEY_ALGORITHMS)("%s: what one crypto has signed, the other verifies", async (alg) => {
  const [ours, foreign] = await Promise.all([generateKeyPair(alg, { extractable: true }), generateKeyPair(alg, { extractable: true })]);
  const [own, other] = [await exportJWK(ours.privateKey), await exportJWK(foreign.publicKey)];
  const known = await exportJWK(ours.publicKey);
  const realm = realmOf();
  const claims = { sub: "ann", exp: NOW + 60, headwater: GRANTS };
  const byPlatform = await new SignJWT(claims).setProtectedHeader({ alg }).sign(ours.privateKey);
  const byStandIn = await realm.sign(claims, alg, await realm.importJWK(own, alg));
  const settings = { JWT_JWKS: JSON.stringify({ keys: [{ ...known, alg }] }) };
  for (const token of [byPlatform, byStandIn]) expect(await realm.verifyToken(token, settings)).toMatchObject({ actor: "ann" });
  const wrongKey = { JWT_JWKS: JSON.stringify({ keys: [{ ...other, alg }] }) };
  await expect(realm.verifyToken(byPlatform, wrongKey)).rejects.toMatchObject({ name: "UnauthenticatedError" });
});

test("HS256: the same token as with the platform's own crypto", async () => {
  const claims = { sub: "ann", exp: NOW + 60 };
  const key = new TextEncoder().encode(SECRET);
  const platform = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(key);
  expect(await realmOf().sign(claims, "HS256", key)).toBe(platform);
});

test("a digest, a key's thumbprint and an exported key are the platform's", async () => {
  const { subtle } = cryptoOf(new Random(1));
  const text = new TextEncoder().encode("some text");
  for (const hash of ["SHA-1", "SHA-256", "SHA-384", { name: "SHA-512" }]) {
    expect(await subtle.digest(hash, text)).toEqual(await crypto.subtle.digest(hash, text));
  }
  const realm = realmOf();
  const jwk = await exportJWK((await generateKeyPair("ES256")).publicKey);
  expect(await realm.calculateJwkThumbprint(jwk)).toHaveLength(43);
  expect(await realm.exportJWK(await realm.importJWK(jwk, "ES256"))).toMatchObject(jwk);
});

test("wrong uses of a key reject as with the platform's own crypto", async () => {
  const standIn = cryptoOf(new Random(1)).subtle;
  const text = new TextEncoder().encode("some text");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const signature = new Uint8Array(32);
  const outcomes = [standIn, crypto.subtle].map(async (subtle) => {
    const key = await subtle.importKey("raw", text, algorithm, false, ["verify"]);
    const { length } = key.algorithm as HmacKeyAlgorithm;
    const attempts = [
      () => subtle.verify("HMAC", key, signature, text),
      () => subtle.sign("HMAC", key, text),
      () => subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, text),
      () => subtle.exportKey("raw", key),
      () => subtle.importKey("jwk", { kty: "EC" }, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]),
    ];
    const names = attempts.map((attempt) => attempt().then(String, ({ name }: Error) => name));
    return { length, type: key.type, usages: key.usages, tag: String(key), names: await Promise.all(names) };
  });
  expect(await outcomes[0]).toEqual(await outcomes[1]);
});
