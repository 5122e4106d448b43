/** The real edge on the stand-in for its platform: push, feed, feed socket, subscription, and what happens to them in faults. */
import { expect, test } from "vitest";
import { createEdge, type EdgeEnv, type EdgeSettings } from "../../../worker/index.ts";
import { NO_FAULTS, type PlatformFaults } from "../../../worker/testing/clock.ts";
import { openPlatform, type Platform } from "../../../worker/testing/objects.ts";
import { loadSqlite } from "../../../worker/testing/sqlite.ts";
import type { ClientSocket } from "../../../worker/testing/web-socket.ts";
import { settled, TestClock } from "./platform.ts";

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the route returns
  readonly body: any;
}

async function open(settings: EdgeSettings = {}) {
  const clock = new TestClock();
  const faults: { -readonly [K in keyof PlatformFaults]: PlatformFaults[K] } = { ...NO_FAULTS };
  const edge = createEdge(settings);
  const platform: Platform = openPlatform({
    bindings: ["STREAMS", "LOGS", "SUBSCRIPTIONS"],
    classOf: (binding) => (binding === "STREAMS" ? edge.StreamObject : binding === "LOGS" ? edge.LogObject : edge.SubscriptionObject),
    vars: { AUTH: "open", LOG: "faults" },
    clock,
    faults,
    openDatabase: await loadSqlite(),
  });
  const env = platform.env as unknown as EdgeEnv;
  const request = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await edge.fetch(new Request(`https://edge/v1/permits${path}`, init), env);
    return { status: response.status, body: await response.json() };
  };
  const commit = (streamId: string, expectedVersion: number, id: string = crypto.randomUUID()) => ({
    streamId,
    expectedVersion,
    events: [{ id, type: "Noted", data: {} }],
  });
  const push = (...commits: object[]) => request("/commits", { method: "POST", body: JSON.stringify({ commits }) });
  const feed = async () => {
    const { body } = await request("/feed");
    return body.events.map(
      (event: { position: number; streamId: string; version: number }) => `#${event.position} ${event.streamId}@${event.version}`,
    );
  };
  const listen = async () => {
    const response = await edge.fetch(
      new Request("https://edge/v1/permits/feed", { headers: { upgrade: "websocket", origin: "https://edge" } }),
      env,
    );
    const socket = response.webSocket as unknown as ClientSocket;
    const seen: { events: { streamId: string }[]; position: number }[] = [];
    socket.addEventListener("message", ({ data }) => seen.push(JSON.parse(String(data))));
    socket.accept();
    return { status: response.status, socket, seen };
  };
  return { clock, faults, request, commit, push, feed, listen, platform, logs: platform.objects("LOGS") };
}

test("a push is answered with its positions, a conflict with both versions, and the feed has what was taken", async () => {
  const { commit, push, feed } = await open();
  const { status, body } = await push(commit("A-1", 0), commit("A-2", 0), commit("A-1", 7));
  expect(status).toBe(200);
  expect(body.results).toMatchObject([
    { status: "committed", version: 1, position: 1 },
    { status: "committed", version: 1, position: 2 },
    { status: "conflict", expectedVersion: 7, actualVersion: 1 },
  ]);
  expect(await feed()).toEqual(["#1 A-1@1", "#2 A-2@1"]);
});

test("a feed socket gets a page for its pull, also from a log that hibernated meanwhile", async () => {
  const { commit, push, listen, logs } = await open();
  const { status, socket, seen } = await listen();
  expect(status).toBe(101);
  socket.send(JSON.stringify({ pull: { after: 0 } }));
  await settled();
  expect([seen, logs.evict("permits")]).toEqual([[], true]);
  await push(commit("A-1", 0));
  await settled();
  expect(seen).toMatchObject([{ events: [{ streamId: "A-1" }], position: 1 }]);
});

test("a subscription gets each event, after its handler failed too", async () => {
  const seen: string[] = [];
  let fails = 1;
  const handle = (events: readonly { readonly streamId: string }[]) => {
    if (fails-- > 0) throw new Error("not yet");
    seen.push(...events.map(({ streamId }) => streamId));
  };
  const { clock, commit, push, request } = await open({ subscriptions: { mail: { handle } } });
  await push(commit("A-1", 0), commit("A-2", 0));
  await clock.advance(60_000);
  expect(seen).toEqual(["A-1", "A-2"]);
  expect((await request("/subscriptions/mail")).body.subscription).toMatchObject({ position: 2, lag: 0, state: "running" });
});

test("a commit whose log could not be reached is published by the stream's alarm", async () => {
  const { clock, commit, faults, push, feed, logs } = await open();
  await push(commit("A-1", 0));
  logs.kill("permits");
  let calls = 0;
  // The stream takes the commit, then nobody reaches the log.
  faults.call = () => (++calls === 1 ? "ok" : "lost-before");
  const { status, body } = await push(commit("A-1", 1));
  expect([status, body.results[0]]).toMatchObject([200, { status: "committed", version: 2, position: null }]);
  faults.call = () => "ok";
  expect(await feed()).toEqual(["#1 A-1@1"]);
  await clock.advance(10_000);
  expect(await feed()).toEqual(["#1 A-1@1", "#2 A-1@2"]);
});

test("an acknowledged commit survives a kill of every object, and one without an answer is there or not, whole", async () => {
  const { clock, commit, faults, push, feed, platform } = await open();
  await push(commit("A-1", 0));
  faults.writeLatency = () => 5;
  const cut = push(commit("A-1", 1));
  await clock.advance(2);
  platform.reset();
  await clock.advance(60_000);
  expect((await cut).body.results[0]).toMatchObject({ status: "committed", version: 2 });
  expect(await feed()).toEqual(["#1 A-1@1", "#2 A-1@2"]);
});

test("a stream without room is reset, its commits are refused as such, and what others took is published", async () => {
  const { commit, faults, push, feed, request } = await open();
  await push(commit("A-1", 0));
  faults.isFull = (object) => object === "permits/A-1";
  const body = JSON.stringify({ events: commit("A-1", 1).events });
  expect(await request("/streams/A-1", { method: "POST", body })).toMatchObject({ status: 507, body: { code: "store-full" } });
  expect(await push(commit("A-1", 1), commit("B-1", 0))).toMatchObject({ status: 507, body: { code: "store-full" } });
  faults.isFull = () => false;
  expect(await feed()).toEqual(["#1 A-1@1", "#2 B-1@1"]);
  expect((await push(commit("A-1", 1))).body.results).toMatchObject([{ status: "committed", version: 2, position: 3 }]);
});

test("an older copy of the log is another history to a device that follows it", async () => {
  const { commit, push, request, logs } = await open();
  await push(commit("A-1", 0));
  const copy = logs.copy("permits");
  await push(commit("A-1", 1));
  const { log, position, mark } = (await request("/feed")).body;
  logs.restore("permits", copy);
  expect(await request(`/feed?after=2&log=${log}&mark=${mark}&seen=${position}`)).toMatchObject({
    status: 409,
    body: { code: "position-ahead" },
  });
});
