/** The edge as a process that is killed at its worst moments. */
import { expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { startEdge } from "../support/edge.ts";
import { Random } from "../support/random.ts";
import { SEED } from "../support/seed.ts";

/** The alarm looks ten seconds after a burst's first commit, and a local runtime may be a little late. */
const BOUND = 30_000;

async function feedOf(url: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { position, streamId, version } of connectStore({ url }).readAll()) lines.push(`#${position} ${streamId}@${version}`);
  return lines;
}

test.each([
  ["before the log took it", "before", 0],
  ["after the log took it", "after", 9],
  ["while the log's answer is awaited", "silent", 9],
])(
  "crash between stream commit and publish, %s: killed, restarted, and without any traffic every acknowledged commit is in the feed once",
  {
    timeout: 120_000,
  },
  async (_step, DEAF, published) => {
    const edge = await startEdge({ AUTH: "open", DEAF }, "test/edge/deaf-log/worker.ts");
    try {
      const url = `${edge.url}/v1/crash`;
      const store = connectStore({ url });
      const streams = ["A-1", "B-1", "C-1"];
      await Promise.all(
        streams.map(async (streamId) => {
          for (let version = 0; version < 3; version++) {
            const answer = await store.appendToStream(streamId, [{ type: "Happened", data: version }], { expectedVersion: version });
            expect(answer).toMatchObject({ version: version + 1, position: null });
          }
        }),
      );
      // One that hangs holds up what comes after it, so that fewer may have reached the log.
      const before = await feedOf(url);
      if (DEAF === "silent") expect(before.length).toBeGreaterThan(0);
      else expect(before).toHaveLength(published);
      await edge.kill();
      await edge.start({ AUTH: "open" });
      // Reading the feed asks the log alone: no stream is woken by it.
      await expect.poll(() => feedOf(url), { timeout: BOUND, interval: 200 }).toHaveLength(9);
      const feed = await feedOf(url);
      expect(feed.slice(0, before.length)).toEqual(before);
      for (const streamId of streams) {
        const own = feed.filter((line) => line.includes(streamId)).map((line) => line.split("@")[1]);
        expect(own).toEqual(["1", "2", "3"]);
      }
      expect(feed.map((line) => line.split(" ")[0])).toEqual(Array.from({ length: 9 }, (_, i) => `#${i + 1}`));
    } finally {
      await edge.stop();
    }
  },
);

test(`batch atomicity: killed in the middle of large commits, each of them is there whole or not at all (SEED=${SEED})`, {
  timeout: 120_000,
}, async () => {
  const edge = await startEdge();
  try {
    const random = new Random(SEED);
    const url = `${edge.url}/v1/atomic`;
    const store = connectStore({ url, retries: 0 });
    const text = "x".repeat(1_000);
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const appends = Array.from({ length: 12 }, async (_, i) => {
        const streamId = `Batch-${round}-${i}`;
        const events = Array.from({ length: 100 }, (_event, number) => ({ type: "Written", data: { number, text } }));
        await store.appendToStream(streamId, events, { expectedVersion: "no-stream" });
        acknowledged.push(streamId);
      });
      const pause = random.between(1, 250);
      await Promise.race([Promise.allSettled(appends), new Promise((resolve) => setTimeout(resolve, pause))]);
      await edge.kill();
      await Promise.allSettled(appends);
      await edge.start();
    }
    const calm = connectStore({ url });
    const versions = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12; i++) {
        const streamId = `Batch-${round}-${i}`;
        const slice = await calm.readStream(streamId).catch((error: { code?: string }) => {
          if (error.code !== "stream-not-found") throw error;
          return { version: 0, events: [] };
        });
        expect([0, 100]).toContain(slice.version);
        expect(slice.events).toHaveLength(slice.version);
        if (slice.version > 0) versions.set(streamId, slice.version);
      }
    }
    expect(acknowledged.filter((streamId) => !versions.has(streamId))).toEqual([]);
    await expect.poll(async () => (await feedOf(url)).length, { timeout: BOUND }).toBe(versions.size * 100);
  } finally {
    await edge.stop();
  }
});

test("version race: of 50 clients that append to one stream on the same version, over HTTP, one wins and 49 are told the actual version", async () => {
  const edge = await startEdge();
  try {
    const clients = Array.from({ length: 50 }, () => connectStore({ url: `${edge.url}/v1/race` }));
    const results = await Promise.allSettled(
      clients.map((client, i) => client.appendToStream("Race-1", [{ type: "Ran", data: i }], { expectedVersion: "no-stream" })),
    );
    const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect(refused).toHaveLength(49);
    for (const error of refused) expect(error).toMatchObject({ code: "version-conflict", expectedVersion: "no-stream", actualVersion: 1 });
    expect(await feedOf(`${edge.url}/v1/race`)).toEqual(["#1 Race-1@1"]);
  } finally {
    await edge.stop();
  }
});
