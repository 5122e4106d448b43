/** Who the caller is, what they may do, and from which origins. */

import { type Action, type Grant, isEverything, isReached, type Reach, reachOf } from "../../shared/edge/grants.ts";
import { ForbiddenError, UnauthenticatedError } from "../../shared/errors.ts";
import { isName } from "../../shared/event/commit.ts";
import type { EdgeEnv } from "../env.ts";
import { verifyToken } from "./jwt.ts";

/** The caller, as the edge knows them. */
export interface Principal {
  /** Stored in each event that this caller appends: 1–255 printable characters; null if nobody is known. */
  readonly actor: string | null;
  /** What they may do. What no grant names is denied. */
  readonly grants: readonly Grant[];
  /** When the credentials expire, in milliseconds since 1970: a feed socket is closed then. Left out: once `authenticate` returns null. */
  readonly expiresAt?: number | undefined;
}

/**
 * Returns who the caller is; null for a caller that it does not know. For a feed socket it is called again with the same headers, at most
 * once a minute and before anything is sent: a caller that is not known any more is sent nothing more.
 *
 * @param request a token that a WebSocket offered as a subprotocol, or renewed, is in its `authorization` header
 */
export type Authenticate<E = EdgeEnv> = (request: Request, env: E) => Principal | null | Promise<Principal | null>;

const EVERYONE: Principal = { actor: null, grants: [{ store: "*", streams: ["*"], can: ["read", "append", "admin"] }] };

/**
 * The default. `AUTH = "open"` knows everyone. `jwt`, or unset, requires a bearer token. With any other value nobody is known, so that a
 * typo opens nothing.
 */
export async function authenticateBySettings(request: Request, env: EdgeEnv): Promise<Principal | null> {
  const { AUTH: auth = "jwt" } = env;
  if (auth === "open") return EVERYONE;
  if (auth !== "jwt") return null;
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  return token === undefined ? null : verifyToken(token, env);
}

/** @throws UnauthenticatedError */
export function assertKnown(principal: Principal | null): Principal {
  if (principal === null) throw new UnauthenticatedError();
  if (principal.actor !== null && !isName(principal.actor)) {
    throw new UnauthenticatedError("The actor, in a token its `sub`, must be 1 to 255 printable characters: correct it, or leave it out.");
  }
  return principal;
}

/** @throws ForbiddenError */
export function assertMay({ grants }: Principal, action: Action, store: string, streamId: string): void {
  if (!isReached(reachOf(grants, action, store), streamId)) throw new ForbiddenError();
}

/** Which part of the store the caller may read. @throws ForbiddenError if they may read nothing of it */
export function readable({ grants }: Principal, store: string): Reach {
  const reach = reachOf(grants, "read", store);
  if (reach.length === 0) throw new ForbiddenError();
  return reach;
}

/** @throws ForbiddenError unless the caller may read the whole store, since counts cover all of it */
export function assertMayReadAll(principal: Principal, store: string): void {
  if (!isEverything(readable(principal, store))) throw new ForbiddenError();
}

/** @throws ForbiddenError unless the caller may administer the whole store */
export function assertMayAdminister({ grants }: Principal, store: string): void {
  if (!isEverything(reachOf(grants, "admin", store))) throw new ForbiddenError();
}

/**
 * Compares the origin of the web page with `ALLOWED_ORIGINS`, each as a whole. If the setting is unset, the edge's own origin is allowed;
 * with `AUTH = "open"` also any origin on loopback, as a frontend's own development server has.
 *
 * @returns the origin that may see the response; null if the request does not come from a web page
 * @throws ForbiddenError for any other web page
 */
export function allowedOrigin(request: Request, env: EdgeEnv): string | null {
  const origin = request.headers.get("origin");
  if (origin === null) return null;
  const listed = env.ALLOWED_ORIGINS?.split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  const allowed =
    listed === undefined || listed.length === 0
      ? origin === new URL(request.url).origin || (env.AUTH === "open" && isLoopback(origin))
      : listed.includes(origin);
  if (!allowed) throw new ForbiddenError("Web pages of this origin may not use the store: add the origin to ALLOWED_ORIGINS.");
  return origin;
}

function isLoopback(origin: string): boolean {
  const url = URL.parse(origin);
  return (
    url !== null &&
    url.origin === origin &&
    (url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(url.hostname))
  );
}
