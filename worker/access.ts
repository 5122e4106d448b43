/** Who asks, what they may do, and from which pages. */
import { isName } from "../shared/commit.ts";
import { ForbiddenError, UnauthenticatedError } from "../shared/errors.ts";
import type { EdgeEnv } from "./env.ts";

/** Who the edge takes the caller for. */
export interface Principal {
  /** Stands in each event that this caller appends: 1–255 printable characters; null where nobody is known. */
  readonly actor: string | null;
  /** @param streamId left out: the store as a whole */
  can(action: "read" | "append", store: string, streamId?: string): boolean;
}

/** Answers null for a caller that it does not know. */
export type Authenticate<E = EdgeEnv> = (request: Request, env: E) => Principal | null | Promise<Principal | null>;

const EVERYONE: Principal = { actor: null, can: () => true };

/** The default: `AUTH = "open"` knows everyone, and anything else nobody, so that a forgotten setting opens nothing. */
export function authenticateBySettings(_request: Request, env: EdgeEnv): Principal | null {
  return env.AUTH === "open" ? EVERYONE : null;
}

export function assertKnown(principal: Principal | null): Principal {
  if (principal === null) throw new UnauthenticatedError();
  if (principal.actor !== null && !isName(principal.actor)) {
    throw new UnauthenticatedError("Whoever authenticated the caller gave it a name that is not 1 to 255 printable characters.");
  }
  return principal;
}

export function assertMay(principal: Principal, action: "read" | "append", store: string, streamId?: string): void {
  if (!principal.can(action, store, streamId)) throw new ForbiddenError();
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
