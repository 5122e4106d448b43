/** Reads the lines of `permits.ndjson.gz` and appends them in their order. */
import type { NewEvent, Store } from "../client/index.ts";

interface Line {
  readonly streamId: string;
  readonly event: NewEvent;
}

export async function readLines(url: string): Promise<Line[]> {
  const response = await fetch(url);
  if (!response.ok || response.body === null) throw new Error(`${url} could not be read: the server answered ${response.status}.`);
  const text = await new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).text();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { stream, type, time, actor, data } = JSON.parse(line);
      return { streamId: stream, event: { type, data, metadata: { actor }, occurredAt: new Date(time).toISOString() } };
    });
}

/** How many lines are appended together: they share a transaction. */
const AT_ONCE = 500;

/**
 * Appends each line as a commit of its own, with the version of its stream on this device as the expected version.
 *
 * @param onProgress called with how many lines are done
 * @returns how many were appended
 */
export async function appendLines(store: Store, lines: readonly Line[], onProgress: (done: number) => Promise<void>): Promise<number> {
  const versions = new Map<string, number>();
  for (let start = 0; start < lines.length; start += AT_ONCE) {
    const part = lines.slice(start, start + AT_ONCE);
    const appends = part.map(({ streamId, event }) => {
      const version = versions.get(streamId) ?? 0;
      versions.set(streamId, version + 1);
      return store.appendToStream(streamId, [event], { expectedVersion: version === 0 ? "no-stream" : version });
    });
    await Promise.all(appends);
    await onProgress(start + part.length);
  }
  return lines.length;
}
