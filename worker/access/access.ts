/** Who asks, what they may do, and from which pages. */

import { type Action, type Grant, isEverything, isReached, type Reach, reachOf } from "../../shared/edge/grants.ts";
import { ForbiddenError, UnauthenticatedError } from "../../shared/errors.ts";
import { isName } from "../../shared/event/commit.ts";
import type { EdgeEnv } from "../env.ts";
import { verifyToken } from "./jwt.ts";

/** Who the edge takes the caller for. */
export interface Principal {
  /** Stands in each event that this caller appends: 1–255 printable characters; null where nobody is known. */
  readonly actor: string | null;
  /** What they may do; whatever none of these names is denied. */
  readonly grants: readonly Grant[];
  /** Until when, in milliseconds since 1970: a live connection is closed then. Left out: for as long as they are known. */
  readonly expiresAt?: number | undefined;
}

/**
 * Answers null for a caller that it does not know. A live connection is asked for again with the same headers, at most once a minute and
 * before anything is sent: who is known no longer is sent nothing more.
 *
 * @param request a token that a WebSocket brought as a subprotocol, or renewed, stands in its `authorization` header
 */
export type Authenticate<E = EdgeEnv> = (request: Request, env: E) => Principal | null | Promise<Principal | null>;

const EVERYONE: Principal = { actor: null, grants: [{ store: "*", streams: ["*"], can: ["read", "append", "admin"] }] };

/** The default: `AUTH = "open"` knows everyone; unset, or `jwt`, bearer tokens; anything else nobody, so that a slip opens nothing. */
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
    throw new UnauthenticatedError("Whoever authenticated the caller gave it a name that is not 1 to 255 printable characters.");
  }
  return principal;
}

/** @throws ForbiddenError */
export function assertMay({ grants }: Principal, action: Action, store: string, streamId: string): void {
  if (!isReached(reachOf(grants, action, store), streamId)) throw new ForbiddenError();
}

/** What of the store may be read. @throws ForbiddenError where nothing of it may */
export function readable({ grants }: Principal, store: string): Reach {
  const reach = reachOf(grants, "read", store);
  if (reach.length === 0) throw new ForbiddenError();
  return reach;
}

/** @throws ForbiddenError where a part of the store may not be read: counts tell of all of it */
export function assertMayReadAll(principal: Principal, store: string): void {
  if (!isEverything(readable(principal, store))) throw new ForbiddenError();
}

/** @throws ForbiddenError unless all of the store may be looked after */
export function assertMayAdminister({ grants }: Principal, store: string): void {
  if (!isEverything(reachOf(grants, "admin", store))) throw new ForbiddenError();
}

/**
 * A page's origin is compared whole. Unset, the edge's own origin is allowed, and where everything is open any origin on
 * loopback: a frontend's own development server.
 *
 * @returns the origin that the answer may be shown to; null where no page asks
 * @throws ForbiddenError for any other page
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
  if (!allowed) throw new ForbiddenError("Pages of this origin may not use the store; see ALLOWED_ORIGINS.");
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
