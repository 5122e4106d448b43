/** WebSockets of the stand-in: they hibernate, and end with the object's process. */
import { expect, test } from "vitest";
import type { ClientSocket } from "../../../worker/testing/web-socket.ts";
import { openTestPlatform, settled } from "./platform.ts";

type State = DurableObjectState & { webSocketPair(): { 0: WebSocket; 1: WebSocket } };

async function open() {
  let instances = 0;
  const platform = await openTestPlatform(
    () =>
      class {
        readonly state: State;
        readonly instance = ++instances;
        constructor(state: State) {
          this.state = state;
          state.setWebSocketAutoResponse({ request: "ping", response: "pong" });
        }
        async fetch(request: Request): Promise<Response> {
          const { 0: client, 1: server } = this.state.webSocketPair();
          this.state.acceptWebSocket(server, [new URL(request.url).pathname]);
          server.serializeAttachment({ count: 0 });
          server.send(`welcome by ${this.instance}`);
          return Object.assign(new Response(null), { client });
        }
        webSocketMessage(socket: WebSocket, message: string): void {
          if (message === "close") return socket.close(4000, "bye");
          if (message === "large") return socket.serializeAttachment("x".repeat(16_384));
          const { count } = socket.deserializeAttachment() as { readonly count: number };
          socket.serializeAttachment({ count: count + 1 });
          this.state.storage.kv.put("last", message);
          socket.send(`${message} ${count + 1} by ${this.instance}`);
        }
        webSocketClose(_socket: WebSocket, code: number, reason: string, wasClean: boolean): void {
          this.state.storage.kv.put("closed", [code, reason, wasClean]);
        }
        closed = () => this.state.storage.kv.get("closed");
        tell = (tag: string | undefined) => {
          const sockets = this.state.getWebSockets(tag);
          for (const socket of sockets) socket.send("news");
          return sockets.length;
        };
      },
  );
  const connect = async (tag = "/x") => {
    const { client } = (await platform.stub("a").fetch(`https://object${tag}`)) as Response & { client: ClientSocket };
    const seen: unknown[] = [];
    client.addEventListener("message", ({ data }) => seen.push(data));
    client.addEventListener("close", ({ code, reason, wasClean }) => seen.push([code, reason, wasClean]));
    client.accept();
    await settled();
    return { client, seen };
  };
  return { ...platform, connect };
}

test("messages go both ways, in order, and what came before accept is kept", async () => {
  const { connect } = await open();
  const { client, seen } = await connect();
  for (const message of ["a", "b", "ping"]) client.send(message);
  await settled();
  expect(seen).toEqual(["welcome by 1", "pong", "a 1 by 1", "b 2 by 1"]);
});

test("an object hibernates under its sockets: a message wakes it, a ping does not, and the attachment is kept", async () => {
  const { connect, objects } = await open();
  const { client, seen } = await connect();
  client.send("a");
  await settled();
  expect(objects.evict("a")).toBe(true);
  client.send("ping");
  await settled();
  expect([objects.isAwake("a"), objects.sockets("a")]).toEqual([false, 1]);
  client.send("b");
  await settled();
  expect(seen.slice(1)).toEqual(["a 1 by 1", "pong", "b 2 by 2"]);
});

test("sockets are found by their tags", async () => {
  const { connect, stub } = await open();
  const one = await connect("/one");
  const two = await connect("/two");
  expect([await stub("a").tell("/one"), await stub("a").tell("/none"), await stub("a").tell(undefined)]).toEqual([1, 0, 2]);
  await settled();
  expect([one.seen.slice(1), two.seen.slice(1)]).toEqual([["news", "news"], ["news"]]);
});

test("either end may close, and a connection may be lost", async () => {
  const { connect, objects, stub } = await open();
  const first = await connect();
  first.client.send("close");
  await settled();
  expect([first.seen.at(-1), first.client.readyState, await stub("a").closed()]).toEqual([[4000, "bye", true], 3, [4000, "bye", true]]);

  const second = await connect();
  second.client.close(1000, "done");
  await settled();
  expect([second.seen.at(-1), await stub("a").closed()]).toEqual([
    [1000, "done", true],
    [1000, "done", true],
  ]);

  const third = await connect();
  third.client.lose();
  third.client.send("a");
  await settled();
  expect([third.seen.length, await stub("a").closed(), objects.sockets("a")]).toEqual([1, [1006, "", false], 0]);
});

test("a message waits until the writes before it are durable, and is lost with them", async () => {
  const { clock, connect, faults, objects } = await open();
  const { client, seen } = await connect();
  faults.writeLatency = () => 10;
  client.send("a");
  await settled();
  expect(seen).toHaveLength(1);
  await clock.advance(10);
  expect(seen[1]).toBe("a 1 by 1");
  client.send("b");
  await settled();
  objects.kill("a");
  await clock.advance(100);
  expect(seen.slice(2)).toEqual([[1006, "", false]]);
  expect(objects.copy("a").values.get("last")).toBe("a");
});

test("a deployment closes all sockets, also of an object that hibernates", async () => {
  const { connect, objects, reset, stub } = await open();
  const { seen } = await connect();
  objects.evict("a");
  reset();
  await settled();
  expect([seen.at(-1), await stub("a").tell(undefined)]).toEqual([[1006, "", false], 0]);
});

test("an attachment has a limit, and an error in a handler reaches nobody", async () => {
  const { connect, uncaught } = await open();
  const { client } = await connect();
  client.send("large");
  await settled();
  expect(uncaught).toEqual([expect.stringContaining("cannot be larger than 16384 bytes")]);
});
