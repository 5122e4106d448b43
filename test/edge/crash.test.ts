/** The edge as a process that is killed at its worst moments. */
import { expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { startEdge } from "../support/edge.ts";

/** The alarm looks ten seconds after a burst's first commit, and a local runtime may be a little late. */
const BOUND = 30_000;

async function feedOf(url: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { position, streamId, version } of connectStore({ url }).readAll()) lines.push(`#${position} ${streamId}@${version}`);
  return lines;
}

test("crash between stream commit and publish: killed, restarted, and without any traffic every acknowledged commit reaches the feed", {
  timeout: 120_000,
}, async () => {
  const edge = await startEdge({ AUTH: "open", DEAF: "yes" }, "test/edge/deaf-log/wrangler.toml");
  try {
    const url = `${edge.url}/v1/crash`;
    const store = connectStore({ url });
    const streams = ["A-1", "B-1", "C-1"];
    for (const streamId of streams) {
      for (let version = 0; version < 3; version++) {
        const answer = await store.appendToStream(streamId, [{ type: "Happened", data: version }], { expectedVersion: version });
        expect(answer).toMatchObject({ version: version + 1, position: null });
      }
    }
    expect(await feedOf(url)).toEqual([]);
    await edge.kill();
    await edge.start({ AUTH: "open" });
    // Reading the feed asks the log alone: no stream is woken by it.
    await expect.poll(() => feedOf(url), { timeout: BOUND, interval: 200 }).toHaveLength(9);
    const feed = await feedOf(url);
    for (const streamId of streams) {
      const own = feed.filter((line) => line.includes(streamId)).map((line) => line.split("@")[1]);
      expect(own).toEqual(["1", "2", "3"]);
    }
    expect(feed.map((line) => line.split(" ")[0])).toEqual(Array.from({ length: 9 }, (_, i) => `#${i + 1}`));
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
