/** Feed sockets on the stand-in: publications close together, and alarms that are late. */
import { expect, test } from "vitest";
import type { EdgeSettings, LogObject } from "../../../worker/index.ts";
import { openEdge } from "./open-edge.ts";
import { settled, TestClock } from "./platform.ts";

const READER = { authorization: "Bearer reader" };
const GRANTS = [{ store: "*", streams: ["*"], can: ["read" as const, "append" as const] }];

/** An edge with a reader whose credentials expire after half a minute. @param renew what they are then: invalid, or valid until this time */
async function openWithReader(renew: (expiredAt: number) => number | null) {
  const clock = new TestClock();
  const expiresAt = clock.now() + 30_000;
  let checks = 0;
  const authenticate: EdgeSettings["authenticate"] = ({ headers }) => {
    if (!headers.has("authorization")) return { actor: "writer", grants: GRANTS };
    if (++checks > 10) throw new Error("The credentials are checked again and again.");
    const until = clock.now() < expiresAt ? expiresAt : renew(expiresAt);
    return until === null ? null : { actor: "reader", grants: GRANTS, expiresAt: until };
  };
  const edge = await openEdge({ authenticate }, clock);
  edge.faults.alarmLatency = () => 60_000;
  const { socket, seen, closed } = await edge.listen(READER);
  const pull = async (after: number) => {
    socket.send(JSON.stringify({ pull: { after } }));
    await settled();
  };
  const push = async (version: number) => {
    await edge.push(edge.commit("A-1", version));
    await settled();
  };
  return { clock, pull, push, seen, closed };
}

test("nothing is sent after the credentials have expired, although the alarm that closes the socket is late", async () => {
  const { clock, pull, push, seen, closed } = await openWithReader(() => null);
  await pull(0);
  await push(0);
  expect(seen).toMatchObject([{ position: 1 }]);
  await pull(1);
  await clock.advance(30_000);
  expect(closed).toEqual([]);
  await push(1);
  expect(seen.slice(1)).toMatchObject([{ problem: { code: "unauthenticated" } }]);
  expect(closed).toEqual([1008]);
});

test("expired credentials that are still valid are checked once for a page", async () => {
  const { clock, pull, push, seen, closed } = await openWithReader((expiredAt) => expiredAt);
  await pull(0);
  await clock.advance(40_000);
  await push(0);
  expect([seen, closed]).toMatchObject([[{ position: 1 }], []]);
});

test.each([0, 5, 10, 20, 40])("two publications, %i promises apart, send one page for a pull", async (apart) => {
  const { listen, platform } = await openEdge();
  const readers = await Promise.all(Array.from({ length: 20 }, () => listen()));
  for (const { socket } of readers) socket.send(JSON.stringify({ pull: { after: 0 } }));
  await settled();
  const log = platform.objects("LOGS").bindingFor(undefined).getByName("permits") as LogObject;
  const publish = (streamId: string) => {
    const body = { id: crypto.randomUUID(), type: "Noted", schemaVersion: 1, data: {}, metadata: {}, occurredAt: "2026-01-01T00:00:00Z" };
    const events = JSON.stringify({ ...body, recordedAt: "2026-01-01T00:00:00Z", actor: null });
    return log.publish([{ streamId, firstVersion: 1, events, streamVersion: 1 }], "permits");
  };
  const first = publish("A-1");
  for (let passed = 0; passed < apart; passed++) await undefined;
  await Promise.all([first, publish("A-2")]);
  await settled();
  expect(readers.map(({ seen }) => seen.length)).toEqual(readers.map(() => 1));
});

test("news are not lost if two checks of the same credentials overlap, and the one for the news ends last", async () => {
  const clock = new TestClock();
  const expiresAt = clock.now() + 1;
  let checks = 0;
  let endFirst: () => void = () => undefined;
  const authenticate: EdgeSettings["authenticate"] = async ({ headers }) => {
    // The socket is opened by the first call; the second is the one for the news.
    if (headers.has("authorization") && ++checks === 2) await new Promise<void>((resolve) => (endFirst = resolve));
    return headers.has("authorization") ? { actor: "reader", grants: GRANTS, expiresAt } : { actor: "writer", grants: GRANTS };
  };
  const edge = await openEdge({ authenticate }, clock);
  edge.faults.alarmLatency = () => 60_000;
  const { socket, seen } = await edge.listen(READER);
  socket.send(JSON.stringify({ pull: { after: 0 } }));
  await settled();
  await clock.advance(1);
  await edge.push(edge.commit("A-1", 0));
  await settled();
  expect(checks).toBe(3);
  endFirst();
  await settled();
  await edge.push(edge.commit("A-1", 1));
  await settled();
  expect(seen).toMatchObject([{ position: 1, events: [{ streamId: "A-1" }] }]);
});
