import { expect, inject, test } from "vitest";
import { commands } from "vitest/browser";
import { connectStore } from "../../client/http.ts";
import { type ConfirmedEvent, openStore, type Store, type StreamEvent } from "../../client/index.ts";
import { type Line, readLines } from "./real-input.ts";

const edge = inject("edgeUrl");
/** Streams read back one by one while offline. */
const SAMPLE = 100;

for (const file of ["permits", "tickets"] as const) {
  test(`${file}: appended offline on A, ordered at the edge, the same on B`, { timeout: 600_000 }, async () => {
    const lines = (await readLines(file)).slice(0, inject("lines")[file]);
    const expected = Map.groupBy(lines, (line) => line.streamId);
    const url = `${edge}/v1/${file}-${crypto.randomUUID().slice(0, 8)}`;

    const network = { down: true };
    const a = await openStore({
      name: `A-${file}`,
      sync: { url, automatic: false, fetch: (...request) => (network.down ? Promise.reject(new TypeError("offline")) : fetch(...request)) },
    });
    await appendAll(a, lines);
    expect(a.status).toMatchObject({ pending: lines.length, conflicts: 0, cursor: null });
    for (const [streamId, own] of [...expected].slice(0, SAMPLE)) {
      const { version, events } = await a.readStream(streamId);
      expect(version).toBe(own.length);
      expect(events.every((event) => event.pending && event.position === null)).toBe(true);
      expect(events.map(said)).toEqual(own.map(({ event }) => event));
    }
    await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
    expect(a.status.pending).toBe(lines.length);

    network.down = false;
    await a.sync();
    expect(a.status).toMatchObject({ connection: "online", pending: 0, conflicts: 0, head: lines.length });

    const b = await openStore({ name: `B-${file}`, sync: { url } });
    await b.sync();
    expect(b.status.cursor).toEqual(a.status.cursor);

    const atEdge = await collect(connectStore({ url }).readAll());
    expect(atEdge.map((event) => event.position)).toEqual(lines.map((_, i) => i + 1));
    for (const device of [a, b]) expect(await collect(device.readAll())).toEqual(atEdge);
    const streams = Map.groupBy(atEdge, (event) => event.streamId);
    expect(streams.size).toBe(expected.size);
    for (const [streamId, events] of streams) {
      expect(events.map((event) => event.version)).toEqual(events.map((_, i) => i + 1));
      expect(events.map(said)).toEqual(expected.get(streamId)?.map(({ event }) => event));
    }
    for (const streamId of [...streams.keys()].slice(0, SAMPLE)) {
      expect((await b.readStream(streamId)).events).toEqual((await a.readStream(streamId)).events);
    }
    expect(await commands.verify(url)).toMatchObject({ exitCode: 0 });
    await a.close();
    await b.close();
  });
}

/** Each stream's first commit with "no-stream", later ones with exact versions, in the order of the file. */
async function appendAll(store: Store, lines: readonly Line[]): Promise<void> {
  const versions = new Map<string, number>();
  const appends = lines.map(({ streamId, event }) => {
    const version = versions.get(streamId) ?? 0;
    versions.set(streamId, version + 1);
    return store.appendToStream(streamId, [event], { expectedVersion: version === 0 ? "no-stream" : version });
  });
  await Promise.all(appends);
}

function said({ type, data, metadata, occurredAt }: StreamEvent | ConfirmedEvent) {
  return { type, data, metadata, occurredAt };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
