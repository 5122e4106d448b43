/** Alarms that never go off, and stay set for ever: an object that finds one when it wakes sets another. */
import { expect, test } from "vitest";
import { openEdge } from "./open-edge.ts";
import { settled } from "./platform.ts";

const LATER = 600_000;

/** An edge whose alarms are lost, and a subscription at it. */
async function openWithLostAlarms() {
  const seen: string[] = [];
  const handle = (events: readonly { readonly streamId: string; readonly version: number }[]) =>
    void seen.push(...events.map(({ streamId, version }) => `${streamId}@${version}`));
  const edge = await openEdge({ subscriptions: { mail: { handle } } });
  const { clock, faults, platform } = edge;
  faults.alarmLatency = () => Number.POSITIVE_INFINITY;
  /** Much later, the object has lost its memory, and alarms go off again. */
  const evictLater = async (binding: string, name: string) => {
    await clock.advance(LATER);
    const objects = platform.objects(binding);
    expect(objects.alarm(name)).toBeLessThan(clock.now());
    expect(objects.evict(name)).toBe(true);
    faults.alarmLatency = () => 0;
  };
  return { ...edge, seen, evictLater };
}

test("a stream publishes its backlog by another alarm", async () => {
  const { clock, commit, evictLater, faults, feed, push, request } = await openWithLostAlarms();
  faults.call = (binding) => (binding === "LOGS" ? "lost-before" : "ok");
  expect((await push(commit("A-1", 0))).body.results).toMatchObject([{ status: "committed", position: null }]);
  await evictLater("STREAMS", "permits/A-1");
  expect((await request("/streams/A-1")).body.version).toBe(1);
  await settled();
  faults.call = () => "ok";
  expect(await feed()).toEqual([]);
  await clock.advance(LATER);
  expect(await feed()).toEqual(["#1 A-1@1"]);
});

test("a log notifies its subscriptions by another alarm", async () => {
  const { clock, commit, evictLater, faults, push, seen } = await openWithLostAlarms();
  faults.call = (binding) => (binding === "SUBSCRIPTIONS" ? "lost-before" : "ok");
  await push(commit("A-1", 0));
  await evictLater("LOGS", "permits");
  await push(commit("A-1", 1));
  await settled();
  faults.call = () => "ok";
  expect(seen).toEqual([]);
  await clock.advance(LATER);
  expect(seen).toEqual(["A-1@1", "A-1@2"]);
});

test("a subscription calls its handler by another alarm", async () => {
  const { clock, commit, evictLater, platform, push, request, seen } = await openWithLostAlarms();
  await push(commit("A-1", 0));
  await settled();
  const [name = ""] = platform.objects("SUBSCRIPTIONS").names();
  await evictLater("SUBSCRIPTIONS", name);
  expect((await request("/subscriptions/mail")).body.subscription).toMatchObject({ lag: 1 });
  await clock.advance(LATER);
  expect(seen).toEqual(["A-1@1"]);
});

test("an alarm that is a little late is not set again", async () => {
  const { clock, commit, faults, platform, push, seen } = await openWithLostAlarms();
  faults.alarmLatency = () => 60_000;
  await push(commit("A-1", 0));
  await clock.advance(50_000);
  const subscriptions = platform.objects("SUBSCRIPTIONS");
  const [name = ""] = subscriptions.names();
  const at = subscriptions.alarm(name);
  expect(at).toBeLessThan(clock.now());
  expect(subscriptions.evict(name)).toBe(true);
  await push(commit("A-1", 1));
  await settled();
  expect(subscriptions.alarm(name)).toBe(at);
  await clock.advance(20_000);
  expect(seen).toEqual(["A-1@1", "A-1@2"]);
});
