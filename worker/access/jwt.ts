/** Bearer tokens: JWTs that `jose` verifies, by an algorithm that the deployment's settings name and never the token. */
import { createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { type Grant, parseGrants } from "../../shared/edge/grants.ts";
import { GRANTS_CLAIM, SECRET_BYTES } from "../../shared/edge/token.ts";
import { UnauthenticatedError, UnavailableError } from "../../shared/errors.ts";
import { logFault } from "../report/journal.ts";

export interface JwtSettings {
  /** The shared secret of HS256: 32 bytes of UTF-8 or more. */
  readonly JWT_SECRET?: string;
  /** Public keys: the address of a JSON Web Key Set, or the set itself as JSON. */
  readonly JWT_JWKS?: string;
  /** What `iss` has to be. */
  readonly JWT_ISSUER?: string;
  /** What `aud` has to contain. */
  readonly JWT_AUDIENCE?: string;
}

/** What a token says of who brings it. */
export interface Verified {
  readonly actor: string | null;
  readonly grants: readonly Grant[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Public keys verify by these alone, so that nobody can sign by a public key as if it were a secret. */
const PUBLIC_KEY_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Clocks differ by some seconds. */
const TOLERANCE = 5;
/** A key that was withdrawn is trusted so many milliseconds longer. */
const KEYS_AGE = 60_000;
const LONGEST_TOKEN = 16_384;

type Keys =
  | { readonly kind: "secret"; readonly secret: Uint8Array }
  | { readonly kind: "public"; readonly find: JWTVerifyGetKey }
  | { readonly kind: "none" };

/**
 * @throws UnauthenticatedError for a token that is not good here, and where the settings name no key, or two
 * @throws UnavailableError where the keys can't be fetched
 */
export async function verifyToken(token: string, settings: JwtSettings): Promise<Verified> {
  const keys = keysOf(settings);
  if (keys.kind === "none" || token.length > LONGEST_TOKEN) throw new UnauthenticatedError();
  const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = settings;
  const options = {
    algorithms: keys.kind === "secret" ? ["HS256"] : PUBLIC_KEY_ALGORITHMS,
    requiredClaims: ["exp"],
    clockTolerance: TOLERANCE,
    ...(issuer === undefined || issuer === "" ? {} : { issuer }),
    ...(audience === undefined || audience === "" ? {} : { audience }),
  };
  try {
    const { payload } = keys.kind === "secret" ? await jwtVerify(token, keys.secret, options) : await jwtVerify(token, keys.find, options);
    assertClaimsOnce(token);
    return toVerified(payload);
  } catch (error) {
    throw toRefusal(error);
  }
}

function toVerified({ sub, exp, [GRANTS_CLAIM]: grants }: JWTPayload): Verified {
  const expiresAt = Math.floor((exp ?? Number.NaN) * 1000);
  // 1e999 is a number of JSON, and would never be over.
  if ((sub !== undefined && typeof sub !== "string") || !Number.isSafeInteger(expiresAt)) throw new UnauthenticatedError();
  return { actor: sub ?? null, grants: grants === undefined ? [] : parseGrants(grants), expiresAt };
}

/** What is wrong with a token is told only of one that was signed here; and that only to whom it helps. */
function toRefusal(error: unknown): Error {
  if (error instanceof UnauthenticatedError) return error;
  if (error instanceof errors.JWTExpired) return new UnauthenticatedError("The token has expired.");
  // Keys that can't be fetched are nobody's fault who asks; a token that is wrong stays wrong.
  const isTheirs = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && !(error instanceof errors.JWKSInvalid);
  if (isTheirs && error.code !== "ERR_JOSE_GENERIC") return new UnauthenticatedError("The token is not valid here.");
  logFault("keys", error);
  return new UnavailableError("The keys that tokens are verified by can't be fetched.");
}

/** By what they were made from: an isolate serves the same settings again and again. */
const known = new Map<string, Keys>();

function keysOf({ JWT_SECRET: secret = "", JWT_JWKS: jwks = "" }: JwtSettings): Keys {
  const settings = JSON.stringify([secret, jwks]);
  let keys = known.get(settings);
  if (keys === undefined) {
    keys = makeKeys(secret, jwks);
    known.set(settings, keys);
  }
  return keys;
}

/** What is not set up as it should be verifies nothing, and says so in the log. */
function makeKeys(secret: string, jwks: string): Keys {
  if (secret !== "" && jwks !== "") return misconfigured("JWT_SECRET and JWT_JWKS are both set; set the one that tokens are signed by.");
  if (secret !== "") {
    const bytes = new TextEncoder().encode(secret);
    return bytes.length < SECRET_BYTES
      ? misconfigured(`JWT_SECRET has ${bytes.length} bytes; HS256 wants ${SECRET_BYTES} or more.`)
      : { kind: "secret", secret: bytes };
  }
  if (jwks === "") return { kind: "none" };
  try {
    return { kind: "public", find: jwks.trimStart().startsWith("{") ? createLocalJWKSet(publicKeys(jwks)) : remoteKeys(jwks) };
  } catch (error) {
    return misconfigured(`JWT_JWKS is neither a key set nor an address of one: ${error instanceof Error ? error.message : error}`);
  }
}

function publicKeys(jwks: string): JSONWebKeySet {
  return JSON.parse(jwks);
}

function remoteKeys(address: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(address), { cacheMaxAge: KEYS_AGE });
}

function misconfigured(message: string): Keys {
  logFault("settings", new Error(message));
  return { kind: "none" };
}

/**
 * A claim that stands twice means one thing to this reader and another to the next: RFC 7519, section 4, lets it be refused.
 *
 * @throws UnauthenticatedError
 */
function assertClaimsOnce(token: string): void {
  for (const part of token.split(".", 2)) {
    const text = new TextDecoder().decode(Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)));
    if (hasRepeatedKey(text)) throw new UnauthenticatedError("The token is not valid here.");
  }
}

/** @param text valid JSON */
export function hasRepeatedKey(text: string): boolean {
  /** The keys of each object around; null for an array. */
  const around: (Set<string> | null)[] = [];
  for (const [part, before] of tokensOf(text)) {
    if (part === "{") around.push(new Set());
    else if (part === "[") around.push(null);
    else if (part === "}" || part === "]") around.pop();
    else if (part.startsWith('"') && (before === "{" || before === ",")) {
      const keys = around.at(-1);
      const key: string = JSON.parse(part);
      if (keys?.has(key)) return true;
      keys?.add(key);
    }
  }
  return false;
}

function* tokensOf(text: string): Generator<[part: string, before: string]> {
  let before = "";
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    yield [part, before];
    before = part;
  }
}
