/** A deletion whose objects are evicted or killed in the middle: it goes on where it was. */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { StreamObject } from "../../../worker/stream/stream-object.ts";
import { eventually } from "../../support/eventually.ts";
import { event, newStore } from "../edge-calls.ts";
import { deleteAll, expectGone, fill, GONE, leftOf, logOf, NOTE_ALONE, send } from "./deleted.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test.each(["evicted", "aborted"] as const)("%s in the middle, it goes on where it was, by the alarm alone", async (how) => {
  const store = newStore();
  const streams = await fill(store, 90);
  const log = await logOf(store);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { erase } = StreamObject.prototype;
  let calls = 0;
  const failing = vi.spyOn(StreamObject.prototype, "erase").mockImplementation(function (this: StreamObject, name) {
    if (++calls > 60) throw new Error("the stream is unreachable");
    return erase.call(this, name);
  });
  await send(store, `?log=${log}`);
  await eventually(async () => {
    await send(store, `?log=${log}`);
    expect(calls).toBeGreaterThan(90);
  });
  const middle = await send(store, "?dryRun=true");
  expect(middle.body).toMatchObject({ state: "deleting", streams: 30, events: 30 });
  if (how === "evicted") await evictDurableObject(store.log());
  else await abortAllDurableObjects();
  // Nothing can be reached, so the request fails, and nothing is lost of where it was.
  expect(await send(store, `?log=${log}`)).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect((await send(store, "?dryRun=true")).body).toEqual(middle.body);
  expect((await store.request("/feed")).status).toBe(410);
  failing.mockRestore();
  await runDurableObjectAlarm(store.log());
  await eventually(async () => expect((await send(store, "?dryRun=true")).body.state).toBe("deleted"));
  await expectGone(store, streams);
});

test("streams that can't be reached, even more than a portion has, do not hold up the others", async () => {
  const store = newStore();
  const streams = await fill(store, 60);
  const broken = new Set(streams.toSorted().slice(0, 45));
  const log = await logOf(store);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { erase } = StreamObject.prototype;
  const failing = vi.spyOn(StreamObject.prototype, "erase").mockImplementation(function (this: StreamObject, name) {
    if (broken.has(name.slice(name.indexOf("/") + 1))) throw new Error("the stream is unreachable");
    return erase.call(this, name);
  });
  expect((await send(store, `?log=${log}`)).status).toBe(503);
  await eventually(async () => {
    await send(store, `?log=${log}`);
    expect((await send(store, "?dryRun=true")).body).toMatchObject({ state: "deleting", streams: 45, events: 45 });
  });
  failing.mockRestore();
  await deleteAll(store);
  await expectGone(store, streams);
});

test("a log that is killed after the streams have lost their events goes on", async () => {
  const store = newStore();
  const streams = await fill(store, 3);
  const log = await logOf(store);
  const { erase } = StreamObject.prototype;
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.spyOn(StreamObject.prototype, "erase").mockImplementation(async function (this: StreamObject, name) {
    await erase.call(this, name);
    throw new Error("the log never hears of it");
  });
  expect((await send(store, `?log=${log}`)).status).toBe(503);
  for (const streamId of streams) expect(await leftOf(store.stream(streamId))).toEqual(NOTE_ALONE);
  vi.restoreAllMocks();
  await abortAllDurableObjects();
  await deleteAll(store);
  await expectGone(store, streams);
});

test("an empty store can be deleted, and then its name can't be used", async () => {
  const store = newStore();
  expect((await send(store, "?dryRun=true")).body).toMatchObject({ state: "present", events: 0, streams: 0 });
  expect(await deleteAll(store)).toBe(1);
  await abortAllDurableObjects();
  expect(await store.append("A-1", 0, event())).toMatchObject(GONE);
  expect(await store.request("/feed")).toMatchObject(GONE);
});
