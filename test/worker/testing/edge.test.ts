/** The real edge on the stand-in for its platform: push, feed, feed socket, subscription, and what happens to them in faults. */
import { expect, test } from "vitest";
import { openEdge } from "./open-edge.ts";
import { settled } from "./platform.ts";

test("a push is answered with its positions, a conflict with both versions, and the feed has what was taken", async () => {
  const { commit, push, feed } = await openEdge();
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
  const { commit, push, listen, logs } = await openEdge();
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
  const { clock, commit, push, request } = await openEdge({ subscriptions: { mail: { handle } } });
  await push(commit("A-1", 0), commit("A-2", 0));
  await clock.advance(60_000);
  expect(seen).toEqual(["A-1", "A-2"]);
  expect((await request("/subscriptions/mail")).body.subscription).toMatchObject({ position: 2, lag: 0, state: "running" });
});

test("a commit whose log could not be reached is published by the stream's alarm", async () => {
  const { clock, commit, faults, push, feed, logs } = await openEdge();
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
  const { clock, commit, faults, push, feed, platform } = await openEdge();
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
  const { commit, faults, push, feed, request } = await openEdge();
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
  const { commit, push, request, logs } = await openEdge();
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
