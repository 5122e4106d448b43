/**
 * How a feed socket is opened. Its messages are in `wire.ts`.
 *
 * A browser's WebSocket has no headers, so the token is the end of a subprotocol's name. Such a name can't have `=`, `/` and some others
 * (RFC 6455, section 4.1), which a token may have (RFC 6750, section 2.1).
 *
 *     eyJh.eyJz.x-y_z ──► bearer.eyJh.eyJz.x-y_z                  as it is
 *     c2Vzc2lvbg==    ──► base64url.bearer.YzJWemMybHZiZz09       encoded, without padding, because of "="
 */
import { fromBase64url, toBase64url } from "../base64url.ts";
import { isToken } from "./token.ts";

/** The subprotocol of the WebSocket, offered together with one that carries the token. */
export const FEED_PROTOCOL = "headwater.v1";
const PLAIN = "bearer.";
const ENCODED = "base64url.bearer.";
/** A ping is answered without waking the Durable Object. */
export const PING = "ping";
export const PONG = "pong";

/** The subprotocol that carries a token. @param token one that `isToken` */
export function toBearerProtocol(token: string): string {
  if (/^[\w.~+-]+$/.test(token)) return PLAIN + token;
  return ENCODED + toBase64url(token);
}

/** The token that one of the subprotocols carries; undefined if none does. */
export function tokenOfProtocols(protocols: readonly string[]): string | undefined {
  return protocols.map(tokenOf).find(isToken);
}

function tokenOf(protocol: string): string | undefined {
  if (protocol.startsWith(ENCODED)) return decoded(protocol.slice(ENCODED.length));
  return protocol.startsWith(PLAIN) ? protocol.slice(PLAIN.length) : undefined;
}

/** Undefined if the text is not base64url. */
function decoded(text: string): string | undefined {
  try {
    return fromBase64url(text);
  } catch {
    return undefined; // the caller is treated like one without a token
  }
}
