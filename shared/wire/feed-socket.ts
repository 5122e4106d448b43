/** Words of the live feed's connection; its messages stand in `wire.ts`. */

/** What a WebSocket speaks, offered beside `bearer.<token>`. */
export const FEED_PROTOCOL = "headwater.v1";
export const BEARER_PROTOCOL = "bearer.";
/** Answered without waking anybody. */
export const PING = "ping";
export const PONG = "pong";
