/** How the Worker calls objects: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../../shared/limits.ts";
import type { PushAnswer } from "../../../shared/wire/wire.ts";
import { event, newStore } from "../edge-calls.ts";
import { fetchWatched, platformError, watchedEnv } from "../watched-env.ts";

/** What the free plan allows a request: https://developers.cloudflare.com/workers/platform/limits/ */
const SUBREQUESTS = 50;
const CONNECTIONS = 6;
/** Of the 50, for whoever authenticates: the fetch of a key set, the question of a rate limiter, an app's own look-ups. */
const AUTHENTICATION = 4;

beforeEach(() => {
  // What fails here is said in the log, too.
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(() => {
  vi.restoreAllMocks();
});

function largestPush() {
  const { pushStreams, pushCommits } = DEFAULT_LIMITS;
  return Array.from({ length: pushCommits }, (_, i) => ({ streamId: `A-${i % pushStreams}`, events: [event()] }));
}

async function followed(store: string): Promise<object> {
  const { log, position, mark } = await (await fetchWatched(watchedEnv(), `${store}/feed`)).json<Record<string, unknown>>();
  return { log, position, mark };
}

test("the largest push stays within the connections and subrequests of the free plan, where each call counts", async () => {
  const store = newStore();
  const watched = watchedEnv();
  const body = { ...(await followed(store.id)), commits: largestPush() };
  const response = await fetchWatched(watched, `${store.id}/commits`, body);
  const { results } = await response.json<PushAnswer>();
  expect(results.every((result) => result.status === "committed" && result.position !== null)).toBe(true);
  console.log(`the largest push: ${watched.calls.length} calls, at most ${watched.most} at once`);
  expect(watched.calls).toHaveLength(2 * DEFAULT_LIMITS.pushStreams + 2);
  expect(watched.most).toBe(CONNECTIONS);
});

/** The first calls of so many objects' methods fail as when the object went away; another try finds it. */
function goneOnce(most: number): (call: string) => Error | undefined {
  const gone = new Set<string>();
  return (call) => {
    if (call.endsWith(".published") || gone.has(call) || gone.size === most) return undefined;
    gone.add(call);
    return platformError({ retryable: true });
  };
}

test("with its retries used up, all of it taken and all streams told, the largest push leaves room for authentication", async () => {
  const store = newStore();
  const watched = watchedEnv(goneOnce(4));
  const body = { ...(await followed(store.id)), commits: largestPush() };
  expect((await fetchWatched(watched, `${store.id}/commits`, body)).status).toBe(200);
  console.log(`the largest push with its retries: ${watched.calls.length} calls`);
  expect(watched.calls).toHaveLength(SUBREQUESTS - AUTHENTICATION);
  expect(watched.most).toBeLessThanOrEqual(CONNECTIONS);
});

test("where every object is gone at its first call the retries end, and what was not taken is taken when it is sent again", async () => {
  const store = newStore();
  const watched = watchedEnv(goneOnce(Number.POSITIVE_INFINITY));
  const body = { ...(await followed(store.id)), commits: largestPush() };
  const response = await fetchWatched(watched, `${store.id}/commits`, body);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(watched.calls.length).toBeLessThanOrEqual(SUBREQUESTS - AUTHENTICATION);
  expect(watched.most).toBeLessThanOrEqual(CONNECTIONS);
  const again = await store.push(...body.commits);
  expect(again.body.results.every(({ status }) => status === "committed" || status === "duplicate")).toBe(true);
  expect(await store.feed()).toHaveLength(DEFAULT_LIMITS.pushCommits);
});

test("streams that can't be told what became of their commits have taken them all the same", async () => {
  const store = newStore();
  const watched = watchedEnv((call) => (call.endsWith(".published") ? platformError({ retryable: true }) : undefined));
  const commits = ["A-1", "B-1"].map((streamId) => ({ streamId, events: [event()] }));
  const response = await fetchWatched(watched, `${store.id}/commits`, { commits });
  const { results } = await response.json<PushAnswer>();
  expect(results.map((result) => "position" in result && result.position).sort()).toEqual([1, 2]);
  expect(watched.calls.filter((call) => call.endsWith(".published"))).toHaveLength(2);
});

const REQUESTS: [string, string, object | undefined, string][] = [
  ["an append", "/streams/A-1", { events: [event()] }, "A-1.append"],
  ["the reading of a stream", "/streams/A-1", undefined, "A-1.read"],
  ["a push's append", "/commits", { commits: [{ streamId: "A-1", events: [event()] }] }, "A-1.append"],
  ["a push by who follows the log", "/commits", { position: 0, commits: [{ streamId: "A-1", events: [event()] }] }, "log.follow"],
  ["the feed", "/feed", undefined, "log.readPage"],
  ["the list of streams", "/streams", undefined, "log.listStreams"],
  ["a store's health", "/health", undefined, "log.health"],
];

test.each(REQUESTS)("overloaded: %s is not tried again, and answered 503 with Retry-After", async (_, path, body, call) => {
  for (const flags of [{ overloaded: true }, { overloaded: true, retryable: true }] as const) {
    const watched = watchedEnv((called) => (called === call ? platformError(flags) : undefined));
    const response = await fetchWatched(watched, newStore().id + path, body);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await response.json()).toMatchObject({ code: "unavailable", status: 503 });
    expect(watched.calls.filter((called) => called === call)).toHaveLength(1);
  }
});

test.each(REQUESTS)("retryable: %s is tried once more, on a new stub", async (_, path, body, call) => {
  const store = newStore();
  await store.append("A-1", 0, event());
  let faults = 1;
  const watched = watchedEnv((called) => (called === call && faults-- > 0 ? platformError({ retryable: true }) : undefined));
  expect((await fetchWatched(watched, store.id + path, body)).status).toBeLessThan(300);
  expect(watched.calls.filter((called) => called === call)).toHaveLength(2);
  expect(watched.stubs.filter((object) => object === call.split(".")[0]).length).toBeGreaterThanOrEqual(2);
});

test.each(REQUESTS)("retryable: %s gives up after that, and is answered 503", async (_, path, body, call) => {
  const watched = watchedEnv((called) => (called === call ? platformError({ retryable: true }) : undefined));
  const response = await fetchWatched(watched, newStore().id + path, body);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(watched.calls.filter((called) => called === call)).toHaveLength(2);
});

test.each(REQUESTS)("neither: %s is not tried again, and answered 503", async (_, path, body, call) => {
  const watched = watchedEnv((called) => (called === call ? platformError() : undefined));
  const response = await fetchWatched(watched, newStore().id + path, body);
  expect([response.status, await response.json()]).toMatchObject([503, { code: "unavailable" }]);
  expect(watched.calls.filter((called) => called === call)).toHaveLength(1);
});

test("a log that is overloaded is not asked by a push's streams either: they have the commits, and their alarms see to it", async () => {
  const store = newStore();
  const watched = watchedEnv((call) => (call === "log.publish" ? platformError({ overloaded: true }) : undefined));
  const commits = ["A-1", "B-1"].map((streamId) => ({ streamId, events: [event()] }));
  const response = await fetchWatched(watched, `${store.id}/commits`, { commits });
  expect(await response.json()).toMatchObject({
    log: null,
    results: [
      { status: "committed", position: null },
      { status: "committed", position: null },
    ],
  });
  expect(watched.calls.sort()).toEqual(["A-1.append", "B-1.append", "log.publish"]);
  expect(await store.feed()).toEqual([]);
  for (const streamId of ["A-1", "B-1"]) {
    expect(await runInDurableObject(store.stream(streamId), (_, state) => state.storage.getAlarm())).not.toBeNull();
    await runInDurableObject(store.stream(streamId), (instance) => instance.alarm());
  }
  expect(await store.feed()).toHaveLength(2);
});
