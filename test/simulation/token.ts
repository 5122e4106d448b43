/** Bearer tokens of worlds, signed as the edge verifies them. */
import { createHmac } from "node:crypto";
import type { Grant } from "../../shared/edge/grants.ts";
import { GRANTS_CLAIM } from "../../shared/edge/token.ts";
import type { HeldToken } from "./checkers/observation.ts";
import { EPOCH } from "./ground.ts";

export const SECRET = "0123456789abcdef0123456789abcdef";
/**
 * Milliseconds by which a token is good after its end: `TOLERANCE` of `worker/access/jwt.ts`. That file can't be imported here, because it
 * has types of workerd.
 */
export const TOLERANCE = 5_000;

/** Seconds since 1970. */
export const FOR_EVER = 4_000_000_000;
const signed = new Map<string, string>();

/** @param sub who holds it */
export function signToken(sub: string, { stores, until }: HeldToken, can: readonly string[] = ["read", "append"]): string {
  const grants = stores.map((store) => ({ store, streams: ["*"], can: [...can] }));
  return signGrants(sub, until, grants);
}

/**
 * Of an app whose shelf the edge guards: it may append to all but the shelf, and give it commands.
 *
 * @param sub who holds it
 */
export function signGuarded(sub: string, { stores, until }: HeldToken): string {
  const grants = stores.flatMap((store) => [
    { store, streams: ["*"], can: ["read", "handle"] },
    { store, streams: ["Permit*", "Ticket*"], can: ["append"] },
  ]);
  return signGrants(sub, until, grants);
}

/** @param until milliseconds of the world */
export function signGrants(sub: string, until: number, grants: readonly Grant[]): string {
  const exp = Number.isFinite(until) ? Math.floor((EPOCH + until - TOLERANCE) / 1000) : FOR_EVER;
  return sign(JSON.stringify({ sub, exp, [GRANTS_CLAIM]: grants }));
}

/** @param payload its claims, as JSON */
export function sign(payload: string): string {
  let token = signed.get(payload);
  if (token === undefined) {
    const content = [JSON.stringify({ alg: "HS256" }), payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
    token = `${content}.${createHmac("sha256", SECRET).update(content).digest("base64url")}`;
    signed.set(payload, token);
  }
  return token;
}
