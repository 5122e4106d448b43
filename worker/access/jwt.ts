/** Bearer tokens: JWTs that `jose` verifies. The deployment's settings choose the algorithm, never the token. */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { textOfBase64url } from "../../shared/base64url.ts";
import { type Grant, parseGrants } from "../../shared/edge/grants.ts";
import { GRANTS_CLAIM, SECRET_BYTES } from "../../shared/edge/token.ts";
import { UnauthenticatedError, UnavailableError } from "../../shared/errors.ts";
import { logFault, logSettingsFault } from "../report/journal.ts";
import { remoteKeys } from "./remote-keys.ts";

export interface JwtSettings {
  /** The shared secret of HS256: 32 bytes of UTF-8 or more. */
  readonly JWT_SECRET?: string;
  /** Public keys: the address of a JSON Web Key Set, or the set itself as JSON. */
  readonly JWT_JWKS?: string;
  /** The required `iss`. */
  readonly JWT_ISSUER?: string;
  /** A value that `aud` must contain. */
  readonly JWT_AUDIENCE?: string;
}

/** What a valid token says about the caller. */
export interface Verified {
  readonly actor: string | null;
  readonly grants: readonly Grant[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** With public keys only these algorithms are accepted, so that nobody can sign with a public key as if it were a secret. */
const PUBLIC_KEY_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Seconds by which clocks may differ. */
const TOLERANCE = 5;
/** Characters. */
const LONGEST_TOKEN = 16_384;

const NOT_VALID = "The token is not valid at this edge: send a valid one.";

type Keys =
  | { readonly kind: "secret"; readonly secret: Uint8Array }
  | { readonly kind: "public"; readonly find: JWTVerifyGetKey }
  | { readonly kind: "none" };

/**
 * @throws UnauthenticatedError for a token that is not valid here, and if the settings have no key, a wrong one, or both a secret and keys
 * @throws UnavailableError if the keys can't be fetched
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
  // 1e999 is valid JSON, and such a token would never expire.
  if ((sub !== undefined && typeof sub !== "string") || !Number.isSafeInteger(expiresAt)) throw new UnauthenticatedError();
  return { actor: sub ?? null, grants: grants === undefined ? [] : parseGrants(grants), expiresAt };
}

/** The caller learns only one reason: the token has expired. `jose` finds that only in a token that was signed for this edge. */
function toRefusal(error: unknown): Error {
  if (error instanceof UnauthenticatedError || error instanceof UnavailableError) return error;
  if (error instanceof errors.JWTExpired) return new UnauthenticatedError("The token has expired: get a new one.");
  // If the keys can't be used, the caller did nothing wrong and may retry. A token that is not valid stays so.
  if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSInvalid)) return new UnauthenticatedError(NOT_VALID);
  logFault("keys", error);
  return new UnavailableError("The edge can't use the keys that verify tokens: try again later.");
}

/** Logs what is wrong with the settings, if anything is: also if nobody sends a token. */
export function checkJwtSettings(settings: JwtSettings): void {
  keysOf(settings);
}

/** The keys by the settings that they were made from: an isolate serves the same settings again and again. */
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

/** With settings that are wrong no token is valid, and the reason is logged. */
function makeKeys(secret: string, jwks: string): Keys {
  if (secret !== "" && jwks !== "")
    return misconfigured("JWT_SECRET and JWT_JWKS are both set: set only the one that tokens are signed with.");
  if (secret !== "") {
    const bytes = new TextEncoder().encode(secret);
    return bytes.length < SECRET_BYTES
      ? misconfigured(`JWT_SECRET has ${bytes.length} bytes: HS256 requires ${SECRET_BYTES} or more.`)
      : { kind: "secret", secret: bytes };
  }
  if (jwks === "")
    return misconfigured("Neither JWT_SECRET nor JWT_JWKS is set, so no token is valid: set the one that tokens are signed with.");
  try {
    return { kind: "public", find: jwks.trimStart().startsWith("{") ? createLocalJWKSet(publicKeys(jwks)) : remoteKeys(jwks) };
  } catch (error) {
    return misconfigured(
      `JWT_JWKS is neither a JSON Web Key Set nor the address of one: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function publicKeys(jwks: string): JSONWebKeySet {
  return JSON.parse(jwks);
}

function misconfigured(message: string): Keys {
  logSettingsFault(message);
  return { kind: "none" };
}

/**
 * A claim that appears twice can mean different things to different readers: RFC 7519, section 4, allows rejecting the token.
 *
 * @throws UnauthenticatedError
 */
function assertClaimsOnce(token: string): void {
  for (const part of token.split(".", 2)) {
    if (hasRepeatedKey(textOfBase64url(part))) throw new UnauthenticatedError(NOT_VALID);
  }
}

/** @param text valid JSON */
export function hasRepeatedKey(text: string): boolean {
  /** The keys of each enclosing object; null for an enclosing array. */
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
