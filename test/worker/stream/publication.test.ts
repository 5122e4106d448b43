import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../../shared/limits.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import type { PublishedRun } from "../../../worker/log/publication.ts";
import { recordedEvents, toLines } from "../../../worker/objects/run-text.ts";
import { eventually } from "../../support/eventually.ts";
import { SEED } from "../../support/seed.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function breakLog() {
  return vi.spyOn(LogObject.prototype, "publish").mockImplementation(() => {
    throw new Error("the log is unreachable");
  });
}

function alarmOf(store: TestStore, streamId: string): Promise<number | null> {
  return runInDurableObject(store.stream(streamId), (_, state) => state.storage.getAlarm());
}

test("while the log is unreachable appends succeed without a position, and the alarm publishes later", async () => {
  const store = newStore();
  breakLog();
  for (let version = 0; version < 3; version++) {
    const { status, body } = await store.append("A-1", version, event());
    expect([status, body.position]).toEqual([201, null]);
  }
  expect((await store.request("/streams/A-1")).body.events.map((item) => item.position)).toEqual([null, null, null]);
  vi.restoreAllMocks();
  expect(await store.feed()).toEqual([]);
  expect(await runDurableObjectAlarm(store.stream("A-1"))).toBe(true);
  expect(await store.feed()).toEqual(["#1 A-1@1", "#2 A-1@2", "#3 A-1@3"]);
  expect((await store.request("/streams/A-1")).body.events.map((item) => item.position)).toEqual([1, 2, 3]);
});

test("alarm exhausted: an alarm never throws, and arms the next one further away each time", async () => {
  const store = newStore();
  breakLog();
  await store.append("A-1", 0, event());
  const delays: number[] = [];
  for (let i = 0; i < 8; i++) {
    expect(await runDurableObjectAlarm(store.stream("A-1"))).toBe(true);
    delays.push(((await alarmOf(store, "A-1")) ?? 0) - Date.now());
  }
  expect(delays.every((delay, i) => delay > 0 && delay <= 300_000 && (i === 0 || delay >= (delays[i - 1] ?? 0) - 1_000))).toBe(true);
  vi.restoreAllMocks();
  await runDurableObjectAlarm(store.stream("A-1"));
  expect(await store.feed()).toEqual(["#1 A-1@1"]);
  expect(await alarmOf(store, "A-1")).toBeNull();
});

test("an alarm that runs twice, or for nothing, changes nothing", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  expect(await runDurableObjectAlarm(store.stream("A-1"))).toBe(true);
  await runInDurableObject(store.stream("A-1"), (instance) => instance.alarm());
  await evictDurableObject(store.stream("A-1"));
  await runInDurableObject(store.stream("A-1"), (instance) => instance.alarm());
  expect(await store.feed()).toEqual(["#1 A-1@1"]);
  expect(await alarmOf(store, "A-1")).toBeNull();
  expect((await store.append("A-1", 1, event())).body).toMatchObject({ version: 2, position: 2 });
});

test("a burst arms one alarm", async () => {
  const store = newStore();
  await store.append("A-1", "any", event());
  const first = await alarmOf(store, "A-1");
  await Promise.all(Array.from({ length: 10 }, () => store.append("A-1", "any", event())));
  expect(await alarmOf(store, "A-1")).toBe(first);
});

test("lost alarm: whatever wakes a stream with a backlog begins the repair", async () => {
  for (const wake of ["read", "append", "push"] as const) {
    const store = newStore();
    breakLog();
    await store.append("A-1", 0, event(), event());
    await runInDurableObject(store.stream("A-1"), (_, state) => state.storage.deleteAlarm());
    await evictDurableObject(store.stream("A-1"));
    vi.restoreAllMocks();
    if (wake === "read") await store.request("/streams/A-1");
    else if (wake === "append") await store.append("A-1", 2, event());
    else await store.push({ streamId: "A-1", expectedVersion: 2, events: [event()] });
    const events = wake === "read" ? 2 : 3;
    await eventually(async () => expect(await store.feed()).toEqual(Array.from({ length: events }, (_, i) => `#${i + 1} A-1@${i + 1}`)));
  }
});

test("memory holds nothing that matters: every object restarted between any two steps", async () => {
  const store = newStore();
  const commits = Array.from({ length: 5 }, () => [event(), event()]);
  for (const [i, commit] of commits.entries()) {
    await abortAllDurableObjects();
    expect((await store.append("A-1", i * 2, ...commit)).body).toMatchObject({ firstVersion: i * 2 + 1, position: i * 2 + 1 });
    await abortAllDurableObjects();
    expect((await store.append("A-1", 99, ...commit)).body).toMatchObject({
      duplicate: true,
      firstVersion: i * 2 + 1,
      position: i * 2 + 1,
    });
  }
  expect(await store.feed()).toHaveLength(10);
});

test("crashed mid-append: commits of a race that every object is torn out of, sent again until answered, stand once each", async () => {
  const store = newStore();
  const commits = Array.from({ length: 20 }, (_, i) => ({ streamId: `A-${i % 2}`, events: [event(), event()] }));
  const send = ({ streamId, events }: (typeof commits)[number]) => store.append(streamId, "any", ...events);
  const first = commits.map(send);
  await abortAllDurableObjects();
  const statuses = (await Promise.all(first)).map((answer) => answer.status);
  expect(statuses.every((status) => [201, 503].includes(status))).toBe(true);
  const again = await Promise.all(commits.map(send));
  expect(again.every((answer) => [200, 201].includes(answer.status))).toBe(true);
  const feed = await store.feed();
  expect(feed).toHaveLength(40);
  for (const { body } of again) expect(feed[body.position - 1]).toBe(`#${body.position} ${body.streamId}@${body.firstVersion}`);
});

test("publish reorder over a new stub: a log that failed after applying is asked again and answers with the original positions", async () => {
  const store = newStore();
  const publish = LogObject.prototype.publish;
  vi.spyOn(LogObject.prototype, "publish").mockImplementationOnce(function (this: LogObject, runs) {
    publish.call(this, runs);
    throw new Error("the answer is lost");
  });
  const commit = event();
  expect((await store.append("A-1", 0, commit)).body.position).toBeNull();
  expect((await store.append("A-1", 0, commit)).body).toMatchObject({ duplicate: true, position: 1 });
  expect(await store.feed()).toEqual(["#1 A-1@1"]);
});

test("a log without room keeps its streams' backlog, says how much it lacks, and takes it when there is room again", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const full = await runInDurableObject(store.log(), (_, state) => {
    const { exec } = state.storage.sql;
    return vi.spyOn(state.storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      if (query.startsWith("INSERT")) throw new Error("database or disk is full: SQLITE_FULL");
      return exec.call(state.storage.sql, query, ...bindings);
    }) as SqlStorage["exec"]);
  });
  expect((await store.append("A-1", 1, event(), event())).body).toMatchObject({ version: 3, position: null });
  expect((await store.append("B-1", 0, event())).body).toMatchObject({ version: 1, position: null });
  const { body } = await store.request("/health");
  expect(body).toMatchObject({ head: 1, events: 1, streams: 1, unpublished: 3 });
  expect(body.oldestUnpublishedAgeMs).toBeGreaterThanOrEqual(0);
  // Reads go on: of the feed up to where the log has it, and of the streams in full.
  expect(await store.feed()).toEqual(["#1 A-1@1"]);
  expect((await store.request("/streams/A-1")).body.events.map(({ position }) => position)).toEqual([1, null, null]);
  full.mockRestore();
  for (const streamId of ["A-1", "B-1"]) await runDurableObjectAlarm(store.stream(streamId));
  expect((await store.request("/health")).body).toMatchObject({
    head: 4,
    events: 4,
    streams: 2,
    unpublished: 0,
    oldestUnpublishedAgeMs: 0,
  });
});

test("a push of many streams reaches the log as one publication", async () => {
  const store = newStore();
  const publish = vi.spyOn(LogObject.prototype, "publish");
  const { pushStreams } = DEFAULT_LIMITS;
  const { body } = await store.push(
    ...Array.from({ length: pushStreams }, (_, i) => ({ streamId: `A-${i}`, expectedVersion: 0, events: [event()] })),
  );
  expect(publish).toHaveBeenCalledTimes(1);
  expect(body.results.flatMap((result) => ("position" in result ? [result.position ?? 0] : [])).sort((a, b) => a - b)).toEqual(
    Array.from({ length: pushStreams }, (_, i) => i + 1),
  );
});

test("a push whose publication fails is taken all the same, and published by its streams", async () => {
  const store = newStore();
  vi.spyOn(LogObject.prototype, "publish").mockImplementationOnce(() => {
    throw new Error("the log is unreachable");
  });
  const { status, body } = await store.push(...[1, 2, 3].map((i) => ({ streamId: `A-${i}`, expectedVersion: 0, events: [event()] })));
  expect(status).toBe(200);
  expect(body.results).toMatchObject([
    { status: "committed", position: null },
    { status: "committed", position: null },
    { status: "committed", position: null },
  ]);
  await eventually(async () => expect(await store.feed()).toHaveLength(3));
});

test("feed gap or crossing: whatever order and repetition publications come in, positions are dense and streams in order", async () => {
  const step = fc.record({
    stream: fc.integer({ min: 0, max: 4 }),
    from: fc.integer({ min: 1, max: 8 }),
    size: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const store = newStore();
      const log = store.log();
      const bodies = Array.from({ length: 5 }, () =>
        Array.from({ length: 12 }, (_, i) => ({
          ...event("E", i + 1),
          schemaVersion: 1,
          metadata: {},
          occurredAt: "2026-01-01T00:00:00Z",
        })),
      );
      const heads = [0, 0, 0, 0, 0];
      let seen: string[] = [];
      for (const { stream, from, size } of steps) {
        const run: PublishedRun = {
          streamId: `S-${stream}`,
          firstVersion: from,
          events: toLines(
            `S-${stream}`,
            from,
            recordedEvents(
              (bodies[stream] ?? []).slice(from - 1, from - 1 + size) as Parameters<typeof recordedEvents>[0],
              "2026-01-01T00:00:00Z",
              null,
            ),
          ),
          streamVersion: from + size - 1,
        };
        const { answers } = await log.publish([run]);
        const head = heads[stream] ?? 0;
        if (from > head + 1) expect(answers).toEqual([{ kind: "gap", head }]);
        else expect(answers[0]?.kind).toBe("published");
        if (from <= head + 1) heads[stream] = Math.max(head, from + size - 1);
        const feed = await store.feed();
        expect(feed.slice(0, seen.length)).toEqual(seen);
        seen = feed;
      }
      const versions = new Map<string, number>();
      for (const [i, line] of seen.entries()) {
        const [, position, streamId, version] = /^#(\d+) (.+)@(\d+)$/.exec(line) ?? [];
        expect(Number(position)).toBe(i + 1);
        expect(Number(version)).toBe((versions.get(streamId ?? "") ?? 0) + 1);
        versions.set(streamId ?? "", Number(version));
      }
      expect([0, 1, 2, 3, 4].map((stream) => versions.get(`S-${stream}`) ?? 0)).toEqual(heads);
    }),
    { seed: SEED, numRuns: 30 },
  );
});
