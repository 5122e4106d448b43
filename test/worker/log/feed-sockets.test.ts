import { createExecutionContext, env, evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createEdge } from "../../../worker/index.ts";
import { SEED } from "../../support/seed.ts";
import { event, newStore } from "../edge-calls.ts";
import { openLive } from "./feed-socket.ts";

/** Pairs of messages to one socket. */
const MANY = 90;

const positions = (answer: { events: readonly { position: number }[] }) => answer.events.map(({ position }) => position);

test("a pull is answered at once where there is something past it, else as soon as there is", async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  const { socket } = await openLive(store.id);
  socket.pull(0);
  const first = await socket.next();
  expect([positions(first), first.position, first.head]).toEqual([[1, 2], 2, 2]);
  const { body: page } = await store.request("/feed");
  expect(first).toEqual(page);
  socket.pull(2);
  await store.append("A-1", 2, event());
  expect(positions(await socket.next())).toEqual([3]);
  // No pull is open: nothing is sent until the reader asks.
  await store.append("A-1", 3, event());
  await store.append("A-1", 4, event());
  socket.pull(3);
  expect(positions(await socket.next())).toEqual([4, 5]);
  expect(socket.unread).toBe(0);
  socket.close();
});

test("ping is answered by the platform", async () => {
  const { socket } = await openLive(newStore().id);
  socket.send("ping");
  expect(await socket.text()).toBe("pong");
  socket.close();
});

test("Eviction/hibernation live delivery: events that come after an eviction, with the pull open, arrive on the old socket", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const { socket } = await openLive(store.id, "/feed?category=A");
  socket.pull(1);
  for (let round = 1; round <= 3; round++) {
    await evictDurableObject(store.log());
    await store.append("B-1", "any", event());
    await store.append("A-1", "any", event());
    const page = await socket.next();
    expect(page.events.map(({ streamId, version }) => `${streamId}@${version}`)).toEqual([`A-1@${round + 1}`]);
    socket.pull(page.position);
  }
  expect(socket.unread).toBe(0);
  socket.close();
});

test("a socket's address filters; others' events neither arrive nor wake the reader", async () => {
  const store = newStore();
  const { socket } = await openLive(store.id, "/feed?category=A&type=Wanted");
  socket.pull(0);
  await store.append("B-1", "any", event("Wanted"));
  await store.append("A-1", "any", event("Other"));
  await store.append("A-1", "any", event("Wanted"));
  expect(positions(await socket.next())).toEqual([3]);
  await store.append("B-1", "any", event("Wanted"));
  // Asked for anew, it tells how far it looked.
  socket.pull(3);
  expect(await socket.next()).toMatchObject({ events: [], position: 4, head: 4 });
  socket.close();
});

test("another log, a position ahead and what is no message are problems, and the socket lives", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const { socket } = await openLive(store.id);
  for (const [message, code, field] of [
    [{ pull: { after: 0, log: crypto.randomUUID() } }, "log-mismatch", undefined],
    [{ pull: { after: 7 } }, "position-ahead", undefined],
    [{ pull: { after: -1 } }, "invalid-request", "after"],
    [{ pull: { after: 0, limit: 0 } }, "invalid-request", "limit"],
    [{ pull: 1 }, "invalid-request", "body"],
    [{ pull: { after: 0, within: [7] } }, "invalid-request", "within"],
    [{}, "invalid-request", "message"],
    ["nonsense", "invalid-request", "message"],
    [{ auth: {} }, "invalid-request", "token"],
  ] as const) {
    socket.send(message);
    const { problem } = await socket.next();
    expect([problem.code, problem.field]).toEqual([code, field]);
  }
  socket.pull(0);
  expect(positions(await socket.next())).toEqual([1]);
  socket.close();
});

test("a message that is too large, and a flood of them, close the socket", async () => {
  const { id } = newStore();
  const { socket: large } = await openLive(id);
  large.send(`{"pull":{"log":"${"x".repeat(70_000)}"}}`);
  expect((await large.next()).problem.code).toBe("payload-too-large");
  expect(await large.closed).toBe(1009);
  const { socket: flood } = await openLive(id);
  for (let i = 0; i < 300; i++) flood.pull(0);
  expect((await flood.next()).problem.code).toBe("too-many-requests");
  expect(await flood.closed).toBe(1008);
});

test("filters that can't be kept for a socket are refused with the handshake", async () => {
  const streams = Array.from({ length: 900 }, (_, i) => `stream=Stream-with-a-long-name-${i}`).join("&");
  const response = await SELF.fetch(`https://edge.example/v1/${newStore().id}/feed?${streams}`, { headers: { upgrade: "websocket" } });
  expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([413, "payload-too-large"]);
});

test("the subprotocol is answered where it was offered, and another one refused", async () => {
  const { id } = newStore();
  const offered = await openLive(id, "/feed", { "sec-websocket-protocol": "headwater.v1, bearer.abc" });
  expect(offered.response.headers.get("sec-websocket-protocol")).toBe("headwater.v1");
  const silent = await openLive(id);
  expect(silent.response.headers.get("sec-websocket-protocol")).toBeNull();
  const response = await SELF.fetch(`https://edge.example/v1/${id}/feed`, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": "other.v1" },
  });
  expect([response.status, (await response.json<{ field: string }>()).field]).toEqual([400, "sec-websocket-protocol"]);
  offered.socket.close();
  silent.socket.close();
});

test.each([
  ["of one actor", "ann", ["203.0.113.7", "203.0.113.8"], ["203.0.113.9"], []],
  ["without an actor of one address", null, ["203.0.113.7"], ["203.0.113.7"], ["203.0.113.8", "2001:db8::1"]],
  ["without an actor of one network", null, ["2001:db8:0:1::1", "2001:db8:0:1::2"], ["2001:db8:0:1::3"], ["2001:db8:0:2::1"]],
])("a hundred sockets %s are the most, also after an eviction", async (_name, actor, addresses, refused, taken) => {
  const edge = createEdge({ authenticate: () => ({ actor, grants: [{ store: "*", streams: ["*"], can: ["read"] }] }) });
  const send = async (url: string, init: RequestInit) => edge.fetch(new Request(url, init), env, createExecutionContext());
  const { id, log } = newStore();
  const from = (i: number) => ({ "cf-connecting-ip": addresses[i % addresses.length] ?? "" });
  const open = await Promise.all(Array.from({ length: 100 }, (_, i) => openLive(id, "/feed", from(i), send)));
  await evictDurableObject(log());
  for (const address of refused) {
    const response = await send(`https://edge.example/v1/${id}/feed`, { headers: { upgrade: "websocket", "cf-connecting-ip": address } });
    expect([response.status, response.headers.get("retry-after") !== null]).toEqual([429, true]);
    await response.text();
  }
  for (const address of taken) open.push(await openLive(id, "/feed", { "cf-connecting-ip": address }, send));
  for (const { socket } of open) socket.close();
});

/** A reader of server-sent events. */
async function readEvents(store: string, query: string, headers: Record<string, string> = {}) {
  const init = { headers: { accept: "text/event-stream", ...headers } };
  const response = await SELF.fetch(`https://edge.example/v1/${store}/feed?${query}`, init);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    response,
    until: async (end: string) => {
      while (!text.includes(end)) {
        const { value, done } = (await reader?.read()) ?? { done: true };
        if (done) throw new Error(`the stream ended with ${text}`);
        text += value ?? "";
      }
      return text;
    },
    cancel: () => reader?.cancel(),
  };
}

test("server-sent events: the same feed, which a reader that comes back goes on reading where it stood", async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  const read = async (lastEventId?: string) => {
    const reader = await readEvents(store.id, "category=A", lastEventId === undefined ? {} : { "last-event-id": lastEventId });
    expect(reader.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    return reader;
  };
  const first = await read();
  const { body } = await store.request("/feed");
  const text = await first.until("id: 2\n");
  expect(text).toContain(`event: log\ndata: ${JSON.stringify({ log: body.log, head: 2 })}\n\n`);
  expect(await first.until("\n\nid: 2")).toContain(`id: 1\ndata: ${JSON.stringify(body.events[0])}\n\n`);
  await store.append("A-1", 2, event());
  await first.until("id: 3\ndata: ");
  await first.cancel();
  await store.append("A-1", 3, event());
  const again = await read("3");
  expect(await again.until("id: 4\ndata: ")).not.toContain("id: 3\n");
  await again.cancel();
  const refused = await SELF.fetch(`https://edge.example/v1/${store.id}/feed`, {
    headers: { accept: "text/event-stream", "last-event-id": "x" },
  });
  expect([refused.status, (await refused.json<{ field: string }>()).field]).toEqual([400, "last-event-id"]);
});

test("a reader of server-sent events that follows another log is told so, and the stream ends", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const response = await SELF.fetch(`https://edge.example/v1/${store.id}/feed?log=${crypto.randomUUID()}`, {
    headers: { accept: "text/event-stream" },
  });
  const text = await response.text();
  expect(text).toContain("event: problem\ndata: {");
  expect(text).toContain('"code":"log-mismatch"');
});

test("no proxy keeps server-sent events back: neither nginx collects them, nor does anything compress or store them", async () => {
  const { response, cancel } = await readEvents(newStore().id, "");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  expect(response.headers.get("cache-control")).toBe("no-store, no-cache, no-transform");
  await cancel();
});

test("server-sent events name the log before there is anything to read, so a reader learns later that the store was replaced", async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  const { log } = (await store.request("/feed")).body;
  const reader = await readEvents(store.id, "after=2");
  expect(await reader.until("}\n\n")).toBe(`retry: 2000\n\nevent: log\ndata: ${JSON.stringify({ log, head: 2 })}\n\n`);
  await reader.cancel();
  for (const object of [store.log(), store.stream("A-1")]) {
    await runInDurableObject<DurableObject, void>(object, (_, { storage }) => storage.deleteAll());
    await evictDurableObject(object);
  }
  await store.append("A-1", 0, event(), event(), event());
  const { log: other } = (await store.request("/feed")).body;
  expect(other).not.toBe(log);
  const again = await readEvents(store.id, `after=2&log=${log}`);
  const text = await again.until("}\n\n");
  expect(text).not.toContain("event: log");
  expect(JSON.parse(text.split("event: problem\ndata: ")[1] ?? "")).toMatchObject({ code: "log-mismatch", log: other, head: 3 });
  await again.cancel();
});

test("the event that names the log comes once, whether the reader says which log it follows or not", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const { log } = (await store.request("/feed")).body;
  for (const query of ["", `log=${log}`]) {
    const { until, cancel } = await readEvents(store.id, query);
    const text = await until("id: 1\n");
    expect(text.split("event: log\n")).toHaveLength(2);
    expect(text.indexOf("event: log\n")).toBeLessThan(text.indexOf("id: 1\n"));
    await cancel();
  }
});

test.each([
  ["after", "after=2&mark=MARK", {}, "log-mismatch"],
  ["seen", "after=1&seen=2&mark=MARK", {}, "log-mismatch"],
  ["after, continued by Last-Event-ID", "after=2&mark=MARK", { "last-event-id": "3" }, "log-mismatch"],
  ["a position ahead", "after=7", {}, "position-ahead"],
])("a reader of server-sent events learns by its mark at %s that the log has another history", async (_, query, headers, code) => {
  const store = newStore();
  await store.append("A-1", 0, event(), event(), event());
  const { mark } = (await store.request("/feed?limit=2")).body;
  const good = await readEvents(store.id, query.replace("after=7", "after=1").replace("MARK", String(mark)), headers);
  await good.until("event: log");
  await store.append("A-1", 3, event());
  expect(await good.until("id: 4\n")).not.toContain("problem");
  await good.cancel();
  const bad = await readEvents(store.id, query.replace("MARK", "0".repeat(16)), headers);
  expect(await bad.until(`"code":"${code}"`)).toContain("event: problem\n");
  await bad.cancel();
});

test(`whatever is sent on a socket, each message is answered by a page or a problem, and the feed goes on (SEED=${SEED})`, async () => {
  const store = newStore();
  await store.append("A-1", 0, event(), event());
  const some = fc.oneof(fc.json(), fc.string({ unit: "binary" }), fc.integer().map(String));
  const odd = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(null), fc.boolean(), fc.array(fc.string()));
  const field = fc.constantFrom("after", "limit", "log", "mark", "seen", "within", "__proto__", "constructor");
  const pull = fc.dictionary(field, odd).map((given) => JSON.stringify({ pull: given }));
  const auth = odd.map((token) => JSON.stringify({ auth: { token } }));
  const messages = fc.sample(fc.oneof(some, pull, auth), { seed: SEED, numRuns: 1500 }).filter((message) => message !== "ping");
  const codes = new Map<string, number>();
  // A socket takes two hundred messages in ten seconds, and each of these is followed by one that is answered for certain.
  for (let from = 0; from < messages.length; from += MANY) {
    const { socket } = await openLive(store.id);
    const sent = messages.slice(from, from + MANY);
    for (const message of sent) {
      socket.send(message);
      socket.pull(0);
    }
    for (let pages = 0; pages < sent.length; ) {
      const { problem, events } = await socket.next();
      if (events?.length === 2) pages++;
      if (problem === undefined) continue;
      expect(problem.status).toBeLessThan(500);
      expect(problem.detail).not.toMatch(/SQLITE|\n/);
      codes.set(problem.code, (codes.get(problem.code) ?? 0) + 1);
    }
    socket.close();
  }
  expect([...codes.keys()]).toContain("invalid-request");
  await store.append("A-1", 2, event());
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 A-1@3"]);
});
