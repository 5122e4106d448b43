/** Constants of the feed socket. Its messages are in `wire.ts`. */

/** The subprotocol of the WebSocket, offered together with `bearer.<token>`. */
export const FEED_PROTOCOL = "headwater.v1";
export const BEARER_PROTOCOL = "bearer.";
/** A ping is answered without waking the Durable Object. */
export const PING = "ping";
export const PONG = "pong";
