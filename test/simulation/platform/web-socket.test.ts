import { expect, test } from "vitest";
import { inTask, TestWorld } from "./test-loop.ts";
import { type Connection, type FarSide, webSocketOf } from "./web-socket.ts";

/** A tab, and what its sockets do to the far side. */
function openTab() {
  const world = new TestWorld();
  const tab = world.openTab();
  const sent: unknown[] = [];
  const far: FarSide[] = [];
  const connect = (url: string, protocols: string[]): Connection => {
    sent.push(["connect", url, protocols]);
    return {
      attach: (side) => void far.push(side),
      send: (data) => void sent.push(data),
      close: (code, reason) => void sent.push(["close", code, reason]),
    };
  };
  return { world, tab, sent, far, TabSocket: webSocketOf(tab, connect) };
}

/** What a socket's listeners get from now on. */
function seenBy(socket: WebSocket): unknown[] {
  const seen: unknown[] = [];
  socket.onopen = () => void seen.push(["open", socket.protocol, socket.readyState]);
  socket.onmessage = ({ data }) => void seen.push(data);
  socket.onerror = () => void seen.push("error");
  socket.addEventListener("close", ({ code, reason, wasClean }) => void seen.push(["close", code, reason, wasClean, socket.readyState]));
  return seen;
}

test("a socket opens, sends and receives, and closes when the far side has answered", () =>
  inTask(() => {
    const { world, sent, far, TabSocket } = openTab();
    const socket = new TabSocket("http://edge.example/feed", ["headwater.v1", "bearer.abc"]);
    const seen = seenBy(socket);
    expect([socket.url, socket.readyState]).toEqual(["ws://edge.example/feed", TabSocket.CONNECTING]);
    expect(() => socket.send("too early")).toThrow(expect.objectContaining({ name: "InvalidStateError" }));
    far[0]?.opened("headwater.v1");
    far[0]?.message("first");
    expect(seen).toEqual([]);
    world.run();
    socket.send("hello");
    socket.close(3_000, "done");
    socket.close();
    expect(socket.readyState).toBe(TabSocket.CLOSING);
    socket.send("too late");
    far[0]?.message("too late");
    far[0]?.closed(3_000, "done");
    far[0]?.closed(1006, "");
    world.run(100_000);
    expect(sent).toEqual([["connect", "ws://edge.example/feed", ["headwater.v1", "bearer.abc"]], "hello", ["close", 3_000, "done"]]);
    expect(seen).toEqual([["open", "headwater.v1", 1], "first", ["close", 3_000, "done", true, 3]]);
  }));

test("a connection that is refused or breaks ends with an error and code 1006", () =>
  inTask(() => {
    const { world, far, TabSocket } = openTab();
    const seen = [new TabSocket("ws://edge.example/"), new TabSocket("ws://edge.example/")].map(seenBy);
    far[0]?.closed(1006, "");
    far[1]?.opened("");
    world.run();
    far[1]?.closed(1006, "");
    world.run();
    expect(seen).toEqual([
      ["error", ["close", 1006, "", false, 3]],
      [["open", "", 1], "error", ["close", 1006, "", false, 3]],
    ]);
  }));

test("a socket that is closed before it is open fails, and so does one without a protocol in common", () =>
  inTask(() => {
    const { world, far, sent, TabSocket } = openTab();
    const socket = new TabSocket("ws://edge.example/", "mine");
    const other = new TabSocket("ws://edge.example/", "mine");
    const seen = [socket, other].map(seenBy);
    socket.close();
    far[0]?.opened("mine");
    far[1]?.opened("");
    world.run();
    expect(seen).toEqual([
      ["error", ["close", 1006, "", false, 3]],
      ["error", ["close", 1006, "", false, 3]],
    ]);
    expect(sent.slice(2)).toEqual([
      ["close", 1006, "closed before it was open"],
      ["close", 1006, "no protocol in common"],
    ]);
  }));

test("a far side that never answers a close is given up after a minute", () =>
  inTask(() => {
    const { world, far, sent, TabSocket } = openTab();
    const socket = new TabSocket("ws://edge.example/");
    const seen = seenBy(socket);
    far[0]?.opened("");
    world.run();
    socket.close();
    world.run(59_999);
    expect([sent.at(-1), seen]).toEqual([["close", 1005, ""], [["open", "", 1]]]);
    world.run(1);
    expect(seen.slice(1)).toEqual(["error", ["close", 1006, "", false, 3]]);
  }));

test("a frozen tab gets what came meanwhile when it thaws, in order", () =>
  inTask(() => {
    const { world, tab, far, TabSocket } = openTab();
    const seen = seenBy(new TabSocket("ws://edge.example/"));
    far[0]?.opened("");
    world.run();
    tab.freeze();
    far[0]?.message("1");
    far[0]?.message("2");
    far[0]?.closed(1001, "bye");
    world.run(1_000);
    expect(seen).toHaveLength(1);
    tab.thaw();
    world.run();
    expect(seen.slice(1)).toEqual(["1", "2", ["close", 1001, "bye", true, 3]]);
  }));

test("wrong addresses, protocols, codes and reasons throw as in Node's own WebSocket", () => {
  const { TabSocket } = openTab();
  const nameOf = (act: () => unknown): string => {
    try {
      act();
      return "none";
    } catch (error) {
      return error instanceof DOMException ? error.name : String(error);
    }
  };
  const wrong: (readonly [string, string | string[]])[] = [
    ["nonsense", []],
    ["ftp://edge.example", []],
    ["ws://edge.example/#part", []],
    ["ws://edge.example", "with space"],
    ["ws://edge.example", ["a", "a"]],
    ["ws://edge.example", ""],
    ["ws://edge.example", ["bearer.é"]],
  ];
  const names = [TabSocket, WebSocket].map((Socket) => wrong.map(([url, protocols]) => nameOf(() => new Socket(url, protocols))));
  expect(names[0]).toEqual(names[1]);
  expect(new Set(names[0])).toEqual(new Set(["SyntaxError"]));
  const closing = [999, 1001, 2999, 5000].map((code) => nameOf(() => new TabSocket("ws://edge.example/").close(code)));
  expect(new Set(closing)).toEqual(new Set(["InvalidAccessError"]));
  expect(nameOf(() => new TabSocket("ws://edge.example/").close(1000, "é".repeat(62)))).toBe("SyntaxError");
});
