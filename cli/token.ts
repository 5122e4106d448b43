/** `headwater token`: signs a token for development with the secret that the edge verifies tokens with. */
import { SignJWT } from "jose";
import { type Grant, parseGrants } from "../shared/edge/grants.ts";
import { GRANTS_CLAIM, SECRET_BYTES } from "../shared/edge/token.ts";
import { CommandError } from "./command-error.ts";

export interface TokenChoice {
  readonly sub: string;
  /** `store:streams:actions`; streams and actions are separated by commas. */
  readonly grant: readonly string[];
  readonly expires: string;
  readonly issuer?: string;
  readonly audience?: string;
}

export async function signToken({ sub, grant, expires, issuer, audience }: TokenChoice, secret: string | undefined): Promise<string> {
  if (secret === undefined) throw new CommandError("JWT_SECRET is not set: set it to the secret of the edge.");
  const key = new TextEncoder().encode(secret);
  if (key.length < SECRET_BYTES) throw new CommandError(`JWT_SECRET has ${key.length} bytes: the edge requires ${SECRET_BYTES} or more.`);
  const token = new SignJWT({ [GRANTS_CLAIM]: parseGrants(grant.map(toGrant)) })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt();
  try {
    token.setExpirationTime(expires);
  } catch (error) {
    throw new CommandError(`--expires must be a time such as 15m or 8h, not ${expires}.`, { cause: error });
  }
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(key);
}

/** A stream id may contain colons; a store's id and an action may not. */
function toGrant(text: string): Grant {
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first <= 0 || last === first)
    throw new CommandError(`--grant must be store:streams:actions, e.g. permits:Permit-*:read,append, not ${text}.`);
  const can = text.slice(last + 1).split(",");
  const unknown = can.find((action) => !["read", "append", "admin"].includes(action));
  if (unknown !== undefined) throw new CommandError(`The actions of --grant are read, append and admin, not ${unknown || "an empty one"}.`);
  return { store: text.slice(0, first), streams: text.slice(first + 1, last).split(","), can };
}
