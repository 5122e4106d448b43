/** Makes tokens for an edge that has the same secret. */
import { SignJWT } from "jose";
import { GRANTS_CLAIM } from "../../shared/edge/token.ts";

export const SECRET = "0123456789abcdef0123456789abcdef";

export interface TokenFacts {
  readonly sub?: string;
  /** Seconds from now until it expires. */
  readonly seconds?: number;
  readonly store?: string;
  readonly streams?: readonly string[];
  readonly can?: readonly string[];
}

export function signToken({
  sub = "ann",
  seconds = 3_600,
  store = "*",
  streams = ["*"],
  can = ["read", "append"],
}: TokenFacts): Promise<string> {
  return new SignJWT({ [GRANTS_CLAIM]: [{ store, streams, can }] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));
}
