/** The token of a feed socket, whatever the app's function does. A socket of the test's own stands for the edge. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FeedSocket } from "../../../client/edge/feed-socket.ts";
import { PING, PONG } from "../../../shared/wire/feed-socket.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class OpenSocket extends EventTarget {
  readonly sent: string[] = [];
  isClosed = false;

  send(message: string): void {
    this.sent.push(message);
    if (message === PING) queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data: PONG })));
  }

  close(): void {
    this.isClosed = true;
  }
}

test.each([
  [
    "throws",
    () => {
      throw new Error("no session");
    },
  ],
  ["rejects", () => Promise.reject(new Error("no session"))],
])("a token function that %s while the socket is open costs nothing: the next token is sent", async (_, fails) => {
  const socket = new OpenSocket();
  const token = vi.fn<() => Promise<string>>().mockResolvedValueOnce("first").mockImplementationOnce(fails).mockResolvedValue("second");
  const listener = { give: () => undefined, onSocket: () => undefined, isConnected: false };
  const ending = new AbortController();
  const options = { url: "https://edge.test/v1/main", timeout: 1000, token, webSocket: () => socket as unknown as WebSocket };
  new FeedSocket(listener, options, ending.signal).listen({ request: 1, query: { after: 0 } });
  await vi.advanceTimersByTimeAsync(0);
  socket.dispatchEvent(new Event("open"));
  // It is asked for a token once a minute.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(token).toHaveBeenCalledTimes(2);
  expect(socket.sent.filter((message) => message.includes("auth"))).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(socket.sent.filter((message) => message.includes("auth"))).toEqual([JSON.stringify({ auth: { token: "second" } })]);
  expect([listener.isConnected, socket.isClosed]).toEqual([true, false]);
  ending.abort();
});

test.each([
  ["eyJh.eyJz.x-y_z", "bearer.eyJh.eyJz.x-y_z"],
  ["c2Vzc2lvbg==", "base64url.bearer.YzJWemMybHZiZz09"],
])("the token %s is offered in a subprotocol that a browser accepts", async (token, protocol) => {
  const webSocket = vi.fn(() => new OpenSocket() as unknown as WebSocket);
  const ending = new AbortController();
  const options = { url: "https://edge.test/v1/main", timeout: 1000, token: () => token, webSocket };
  new FeedSocket({ give: () => undefined, onSocket: () => undefined, isConnected: false }, options, ending.signal).listen({
    request: 1,
    query: { after: 0 },
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(webSocket.mock.calls).toEqual([["wss://edge.test/v1/main/feed", ["headwater.v1", protocol]]]);
  ending.abort();
});
