/** Credentials that end while a feed socket is open: because they expire, and because they are revoked. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { SECRET, signToken } from "../support/tokens.ts";

let tokens: EdgeProcess;
let sessions: EdgeProcess;

beforeAll(async () => {
  [tokens, sessions] = await Promise.all([startEdge({ JWT_SECRET: SECRET }), startEdge({}, "test/edge/own-sessions/worker.ts")]);
});
afterAll(async () => {
  await Promise.all([tokens?.stop(), sessions?.stop()]);
});

const sign = (seconds: number, sub = "ann", streams = ["*"]) => signToken({ seconds, sub, streams });

type Message = Record<string, unknown>;

/** A socket that is open, and what came on it. */
async function open(url: string, token: string) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/feed`, ["headwater.v1", `bearer.${token}`]);
  const messages: Message[] = [];
  socket.addEventListener("message", ({ data }) => messages.push(JSON.parse(data)));
  const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  return { messages, closed, socket, send: (message: object) => socket.send(JSON.stringify(message)) };
}

const newUrl = (edge: EdgeProcess) => `${edge.url}/v1/${crypto.randomUUID()}`;

test("revocation: a socket is closed when its token expires, with nothing going on", async () => {
  const { closed, messages } = await open(newUrl(tokens), await sign(2));
  expect(await closed).toBe(1008);
  expect(messages).toEqual([
    { problem: expect.objectContaining({ code: "unauthenticated", detail: "The token has expired: get a new one." }) },
  ]);
});

test("a token renewed in time keeps the socket, and the new one's grants hold", async () => {
  const url = newUrl(tokens);
  const long = await sign(60);
  const store = connectStore({ url, token: () => long });
  const { closed, messages, send, socket } = await open(url, await sign(3));
  send({ pull: { after: 0 } });
  send({ auth: { token: await sign(60, "ann", ["Note-*"]) } });
  await expect.poll(() => messages.length).toBe(1);
  expect(messages).toEqual([{ renewed: { expiresAt: expect.any(Number) } }]);
  // Longer than the first token was good for.
  const outcome = await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 5_000, "open"))]);
  expect(outcome).toBe("open");
  await store.appendToStream("Other-1", [{ type: "A", data: 1 }]);
  await store.appendToStream("Note-1", [{ type: "A", data: 2 }]);
  await expect.poll(() => messages.length).toBe(2);
  expect(messages[1]).toMatchObject({ events: [{ streamId: "Note-1", position: 2 }], position: 2 });
  socket.close();
});

test.each([
  ["another actor's token", () => sign(60, "bob")],
  ["an expired token", () => sign(-60)],
  ["a forged token", async () => `${await sign(60)}x`],
])("%s renews nothing and closes the socket", async (_name, token) => {
  const { closed, messages, send } = await open(newUrl(tokens), await sign(60));
  send({ auth: { token: await token() } });
  expect(await closed).toBe(1008);
  expect(messages).toMatchObject([{ problem: { code: "unauthenticated" } }]);
});

test("Feed authorisation and revocation: whoever is known no longer is sent nothing more", async () => {
  const url = newUrl(sessions);
  const store = connectStore({ url, token: () => "writer" });
  const stays = await open(url, "ann");
  const leaves = await open(url, "bob");
  for (const { send } of [stays, leaves]) send({ pull: { after: 0 } });
  await store.appendToStream("Note-1", [{ type: "Told", data: 1 }]);
  for (const { messages } of [stays, leaves]) await expect.poll(() => messages.length).toBe(1);
  await fetch(`${sessions.url}/lock-out/bob`);
  for (const { send } of [stays, leaves]) send({ pull: { after: 1 } });
  await store.appendToStream("Note-1", [{ type: "Not for bob", data: 2 }]);
  await expect.poll(() => stays.messages.length).toBe(2);
  expect(await leaves.closed).toBe(1008);
  expect(JSON.stringify(leaves.messages)).not.toContain("Not for bob");
  expect(leaves.messages.at(-1)).toMatchObject({ problem: { code: "unauthenticated" } });
  await expect(open(url, "bob")).rejects.toBeDefined();
  stays.socket.close();
});
