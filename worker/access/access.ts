/** Who the caller is, and what they may do. */

import * as v from "valibot";
import { type Action, type Grant, grant, isEverything, isReached, type Reach, reachOf } from "../../shared/edge/grants.ts";
import { ForbiddenError, UnauthenticatedError, UnavailableError } from "../../shared/errors.ts";
import { isName } from "../../shared/event/commit.ts";
import * as option from "../../shared/options.ts";
import { messageOf } from "../../shared/thrown.ts";
import { match } from "../../shared/wire/schema.ts";
import type { EdgeEnv } from "../env.ts";
import { logSettingsFault } from "../report/journal.ts";
import { checkJwtSettings, verifyToken } from "./jwt.ts";

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

const ACTIONS: readonly Action[] = ["read", "append", "handle", "admin"];

const EVERYONE: Principal = { actor: null, grants: [{ store: "*", streams: ["*"], can: [...ACTIONS] }] };

/**
 * The default. `AUTH = "open"` knows everyone. `jwt`, or unset, requires a bearer token. With any other value nobody is known, so that a
 * typo opens nothing. Settings by which nobody can be known are logged.
 */
export async function authenticateBySettings(request: Request, env: EdgeEnv): Promise<Principal | null> {
  const { AUTH: auth = "jwt" } = env;
  if (auth === "open") return EVERYONE;
  if (auth !== "jwt") {
    logSettingsFault('AUTH is neither "jwt" nor "open", so every request is rejected: correct it, or remove it for "jwt".');
    return null;
  }
  checkJwtSettings(env);
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  return token === undefined ? null : verifyToken(token, env);
}

export const PRINCIPAL = {
  actor: option.required({ what: "a text or null", accepts: (value) => value === null || typeof value === "string" }),
  grants: option.required({ what: "a list of { store, streams, can }", accepts: (value) => match(v.array(grant), value).success }),
  expiresAt: { what: "a number of milliseconds since 1970", accepts: (value) => typeof value === "number" && !Number.isNaN(value) },
} satisfies option.OptionsOf<Principal>;

/**
 * @throws UnauthenticatedError if nobody is known
 * @throws UnavailableError if an app's `authenticate` returned something else: the reason is logged
 */
export function assertKnown(given: Principal | null): Principal {
  if (given === null || given === undefined) throw new UnauthenticatedError();
  const principal = completePrincipal(given);
  if (principal.actor !== null && !isName(principal.actor)) {
    throw new UnauthenticatedError("The actor, in a token its `sub`, must be 1 to 255 printable characters: correct it, or leave it out.");
  }
  return principal;
}

function completePrincipal(given: Principal): Principal {
  try {
    return option.completeOptions(given, PRINCIPAL, "principal.");
  } catch (error) {
    logSettingsFault(`authenticate returned what is no principal, so the request is rejected: ${messageOf(error)}`);
    throw new UnavailableError("The edge can't find out what this caller may do: its log has the reason.", {}, { cause: error });
  }
}

/**
 * To be called before a route does anything for the caller: nothing of a store is disclosed, and none of its objects wakes, before a grant
 * names the store.
 *
 * @throws ForbiddenError if no grant allows any action on any stream of the store
 */
export function assertGranted({ grants }: Principal, store: string): void {
  if (ACTIONS.every((action) => reachOf(grants, action, store).length === 0)) throw new ForbiddenError();
}

/** @throws ForbiddenError unless the caller may read something of the store, or append to it: a push discloses the log's id and head */
export function assertMayPush({ grants }: Principal, store: string): void {
  const actions: readonly Action[] = ["append", "handle", "read"];
  if (actions.every((action) => reachOf(grants, action, store).length === 0)) throw new ForbiddenError();
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
