/** The network of these tests does what it promises, on connections that are already open. */
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TcpProxy } from "../support/proxy.ts";

let edge: Server;
let proxy: TcpProxy;
let agent: Agent;
let asked: string[];

beforeEach(async () => {
  asked = [];
  edge = createServer((question, answer) => {
    asked.push(question.method ?? "");
    answer.end("0123456789".repeat(100));
  }).listen(0, "127.0.0.1");
  await once(edge, "listening");
  const address = edge.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  proxy = await TcpProxy.start(`http://127.0.0.1:${address.port}`);
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await ask()).toHaveLength(1000);
});

afterEach(async () => {
  agent.destroy();
  await proxy.close();
  edge.close();
  edge.closeAllConnections();
});

/** On the one connection that the agent keeps. */
async function ask(method = "GET", timeout = 20_000): Promise<string> {
  const question = request(proxy.url, { agent, method, signal: AbortSignal.timeout(timeout) }).end();
  const [answer]: IncomingMessage[] = await once(question, "response");
  let text = "";
  for await (const chunk of answer ?? []) text += chunk;
  return text;
}

test("refuse", async () => {
  proxy.inject({ kind: "refuse" });
  for (let i = 0; i < 2; i++) await expect(ask()).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(asked).toHaveLength(1);
  proxy.heal();
  expect(await ask()).toHaveLength(1000);
  expect(proxy.injected.refuse).toBe(2);
});

test("black hole: an open connection and a new one stay silent, and what has lost bytes stays so", async () => {
  proxy.inject({ kind: "blackhole" });
  for (let i = 0; i < 2; i++) await expect(ask("GET", 100)).rejects.toMatchObject({ name: "AbortError" });
  expect([asked.length, proxy.injected.blackhole]).toEqual([1, 2]);
  const lost = ask();
  await expect.poll(() => proxy.injected.blackhole).toBe(3);
  proxy.heal();
  agent.destroy();
  await expect(lost).rejects.toThrow();
  expect(await ask()).toHaveLength(1000);
});

test("delay: everything arrives, in order", async () => {
  proxy.inject({ kind: "delay", milliseconds: 20 });
  expect(await ask()).toBe("0123456789".repeat(100));
  expect(proxy.injected.delay).toBeGreaterThanOrEqual(2);
});

test("dropped answers: the edge has done the work, as often as it was to be", async () => {
  proxy.inject({ kind: "drop-answers", to: "POST", times: 1 });
  expect(await ask("GET")).toHaveLength(1000);
  await expect(ask("POST")).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(await ask("POST")).toHaveLength(1000);
  expect(asked).toEqual(["GET", "GET", "POST", "POST"]);
  expect(proxy.injected["drop-answers"]).toBe(1);
});

test("cut answers: exactly so many bytes arrive, and then the end", async () => {
  proxy.inject({ kind: "cut-answers", bytes: 500, times: 1 });
  const page = connect(Number(new URL(proxy.url).port), "127.0.0.1");
  page.write("GET / HTTP/1.1\r\nHost: edge\r\n\r\n");
  let bytes = 0;
  for await (const chunk of page) bytes += chunk.length;
  expect(bytes).toBe(500);
  expect([asked.length, proxy.injected["cut-answers"]]).toEqual([2, 1]);
  expect(await ask()).toHaveLength(1000);
});
