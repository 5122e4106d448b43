/** A feed socket by itself: its token, whatever the app's function does, and what is said of it. A socket of the test's own stands for the edge. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { FeedSocket } from "../../../client/edge/feed-socket.ts";
import type { SyncInput } from "../../../shared/device/sync.ts";
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
  const listener = { give: () => undefined, onSocket: () => undefined, isConnected: false, isDiverged: false };
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
  new FeedSocket(
    { give: () => undefined, onSocket: () => undefined, isConnected: false, isDiverged: false },
    options,
    ending.signal,
  ).listen({
    request: 1,
    query: { after: 0 },
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(webSocket.mock.calls).toEqual([["wss://edge.test/v1/main/feed", ["headwater.v1", protocol]]]);
  ending.abort();
});

test.each([
  ["the same filter", ["Note"], 1, []],
  ["another filter", ["Note", "Permit"], 2, [{ pull: { after: 3, within: ["Note", "Permit"] } }]],
  ["no filter", undefined, 2, [{ pull: { after: 3 } }]],
])("while a pull waits, a page by %s is wanted", async (_, within, connections, pulls) => {
  const sockets: OpenSocket[] = [];
  const listener = { give: () => undefined, onSocket: () => undefined, isConnected: false, isDiverged: false };
  const webSocket = () => {
    const socket = new OpenSocket();
    sockets.push(socket);
    queueMicrotask(() => socket.dispatchEvent(new Event("open")));
    return socket as unknown as WebSocket;
  };
  const ending = new AbortController();
  const feed = new FeedSocket(listener, { url: "https://edge.test/v1/main", timeout: 1000, webSocket }, ending.signal);
  feed.listen({ request: 1, query: { after: 0, within: ["Note"] } });
  await vi.advanceTimersByTimeAsync(0);
  feed.listen({ request: 2, query: { after: 3, ...(within && { within }) } });
  await vi.advanceTimersByTimeAsync(0);
  expect(sockets.map(({ isClosed }) => isClosed)).toEqual(connections === 1 ? [false] : [true, false]);
  expect(sockets.slice(1).flatMap(({ sent }) => sent.map((message) => JSON.parse(message)))).toEqual(pulls);
  expect(listener.isConnected).toBe(true);
  ending.abort();
});

test("what a session before said of its socket is taken back when this one works", async () => {
  const socket = new OpenSocket();
  const said: unknown[] = [];
  const listener = {
    give: () => undefined,
    onSocket: (problem: Error | null) => said.push(problem),
    isConnected: false,
    isDiverged: false,
  };
  const ending = new AbortController();
  const options = { url: "https://edge.test/v1/main", timeout: 1000, webSocket: () => socket as unknown as WebSocket };
  new FeedSocket(listener, options, ending.signal).listen({ request: 1, query: { after: 0 } });
  await vi.advanceTimersByTimeAsync(0);
  socket.dispatchEvent(new Event("open"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said).toEqual([null]);
  ending.abort();
});

test("a socket that can't be opened has the feed requested over HTTP, and connects at once when the edge is back", async () => {
  // The waits are as long as they can be.
  vi.spyOn(Math, "random").mockReturnValue(0.99);
  onTestFinished(() => void vi.restoreAllMocks());
  let connections = 0;
  const given: string[] = [];
  const listener = {
    give: (input: SyncInput) => given.push(input.kind === "timer" ? input.timer : input.kind),
    onSocket: (problem: Error | null) => given.push(problem === null ? "works" : "failed"),
    isConnected: false,
    isDiverged: false,
  };
  const webSocket = () => {
    const socket = new OpenSocket();
    connections++;
    setTimeout(() => socket.dispatchEvent(new Event("close")), 5);
    return socket as unknown as WebSocket;
  };
  const ending = new AbortController();
  const feed = new FeedSocket(listener, { url: "https://edge.test/v1/main", timeout: 1000, webSocket }, ending.signal);
  feed.listen({ request: 1, query: { after: 0 } });
  await vi.advanceTimersByTimeAsync(60_000);
  // A poll, which ends no wait: the edge may have said when to come back.
  expect(given.slice(0, 6)).toEqual(["poll", "poll", "failed", "poll", "failed", "poll"]);
  expect(given).not.toContain("woken");
  const before = connections;
  feed.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect(connections).toBe(before + 1);
  // It goes on to count its failures: an edge that comes and goes is not asked more often each time.
  await vi.advanceTimersByTimeAsync(1_000);
  expect(connections).toBe(before + 1);
  ending.abort();
});

test.each([
  ["by itself", false],
  ["when the browser is back online", true],
])("once it was said that the socket can't be opened, it is said too that it works again, %s", async (_, isOnlineAgain) => {
  const online = new EventTarget();
  vi.stubGlobal("addEventListener", online.addEventListener.bind(online));
  onTestFinished(() => void vi.unstubAllGlobals());
  const said: (string | undefined)[] = [];
  const sockets: OpenSocket[] = [];
  const listener = {
    give: () => undefined,
    onSocket: (problem: Error | null) => said.push(problem?.message),
    isConnected: false,
    isDiverged: false,
  };
  const webSocket = () => {
    const socket = new OpenSocket();
    sockets.push(socket);
    // A proxy lets the first four not through.
    if (sockets.length < 5) setTimeout(() => socket.dispatchEvent(new Event("close")), 5);
    else setTimeout(() => socket.dispatchEvent(new Event("open")), 5);
    return socket as unknown as WebSocket;
  };
  const ending = new AbortController();
  new FeedSocket(listener, { url: "https://edge.test/v1/main", timeout: 1000, webSocket }, ending.signal).listen({
    request: 1,
    query: { after: 0 },
  });
  while (sockets.length < 4 || said.length < 2) await vi.advanceTimersByTimeAsync(10);
  if (isOnlineAgain) online.dispatchEvent(new Event("online"));
  while (!listener.isConnected) await vi.advanceTimersByTimeAsync(10);
  // The first ping is answered.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said.at(-1)).toBeUndefined();
  expect(said.slice(0, -1)).toEqual(said.slice(0, -1).map(() => expect.stringContaining("can't be opened")));
  ending.abort();
});
