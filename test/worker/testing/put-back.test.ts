/** Streams that were put back or are damaged, and a log that can not be reached at the moment when a stream notices it. */
import { afterEach, expect, test, vi } from "vitest";
import { LogObject } from "../../../worker/log/log-object.ts";
import { openEdge } from "./open-edge.ts";
import { settled } from "./platform.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("no event of a stream that was put back is shown at the position of a lost one", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { clock, commit, platform, push, request } = await openEdge();
  const streams = platform.objects("STREAMS");
  await push(commit("A-1", 0));
  const older = streams.copy("permits/A-1");
  for (const version of [1, 2]) await push(commit("A-1", version));
  streams.restore("permits/A-1", { ...older, alarm: null });
  const positions = async () => (await request("/streams/A-1")).body.events.map(({ position }: { position: number | null }) => position);
  // It is stored, and the stream forgets it before anybody has compared it: the log takes no run, and tells positions.
  const publish = vi.spyOn(LogObject.prototype, "publish").mockImplementation(() => {
    throw new Error("The log has no room.");
  });
  await push(commit("A-1", 1));
  streams.kill("permits/A-1");
  expect((await positions()).slice(1)).toEqual([null]);
  publish.mockRestore();
  await clock.advance(60_000);
  expect(await positions()).toEqual([1, null]);
  expect((await push(commit("A-1", 2))).body).toMatchObject({ code: "stream-diverged", streamId: "A-1", version: 2 });
});

test("a stream that has lost the run with its name says that it is damaged, and publishes when the run is back", async () => {
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { clock, commit, faults, feed, platform, push } = await openEdge();
  const streams = platform.objects("STREAMS");
  faults.call = (binding) => (binding === "LOGS" ? "lost-before" : "ok");
  for (const version of [0, 1]) await push(commit("A-1", version));
  const [[key, run] = ["", undefined]] = streams.copy("permits/A-1").values;
  streams.kill("permits/A-1");
  faults.call = () => "ok";
  logged.mockClear();
  expect(streams.damage("permits/A-1", (stored) => stored.delete(key))).toBe(true);
  await clock.advance(60_000);
  const messages = logged.mock.calls.map(([line]) => JSON.parse(String(line)).message);
  expect(new Set(messages)).toEqual(
    new Set([expect.stringMatching(/^StorageDamagedError: The storage of a stream is damaged at its first version/)]),
  );
  expect(await feed()).toEqual([]);
  expect(streams.damage("permits/A-1", ({ put }) => put(key, run))).toBe(true);
  await clock.advance(600_000);
  expect(await feed()).toEqual(["#1 A-1@1", "#2 A-1@2"]);
});

test("a stream whose report that it has diverged was lost reports it again, and later that it was repaired", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { clock, commit, faults, platform, push, request } = await openEdge();
  const streams = platform.objects("STREAMS");
  await push(commit("A-1", 0));
  const older = streams.copy("permits/A-1");
  await push(commit("A-1", 1));
  const newest = streams.copy("permits/A-1");
  streams.restore("permits/A-1", { ...older, alarm: null });
  // A read asks the log for positions, and notices that the log has more. The call after it is lost.
  let calls = 0;
  faults.call = (binding) => (binding === "LOGS" && ++calls > 1 ? "lost-before" : "ok");
  expect((await request("/streams/A-1")).body.version).toBe(1);
  await settled();
  faults.call = () => "ok";
  expect((await request("/health")).body.diverged).toBe(0);
  await clock.advance(60_000);
  expect((await request("/health")).body.diverged).toBe(1);
  streams.restore("permits/A-1", newest);
  expect((await push(commit("A-1", 2))).body.results).toMatchObject([{ status: "committed", position: 3 }]);
  expect((await request("/health")).body.diverged).toBe(0);
});
