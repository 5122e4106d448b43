/** The subprotocol of a token, as a browser's own WebSocket takes it. */
import { expect, test } from "vitest";
import { toBearerProtocol } from "../../shared/wire/feed-socket.ts";

test.each(["eyJh.eyJz.x-y_z", "c2Vzc2lvbg==", "a/b+c~d.e", "ann:1,2"])("a browser accepts the subprotocol of the token %s", (token) => {
  expect(() => new WebSocket("ws://127.0.0.1:1/feed", ["headwater.v1", toBearerProtocol(token)]).close()).not.toThrow();
});
