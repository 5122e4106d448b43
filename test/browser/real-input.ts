/** The real input of `test/data`, as events that an app would append. */

import type { NewEvent } from "../../client/index.ts";
import permits from "../data/permits.ndjson.gz?url";
import tickets from "../data/tickets.ndjson.gz?url";

export interface Line {
  readonly streamId: string;
  readonly event: NewEvent;
}

const FILES = { permits, tickets };

export async function readLines(file: keyof typeof FILES): Promise<Line[]> {
  const response = await fetch(FILES[file]);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A development server may send a .gz file as itself or as an encoding that the browser has already undone.
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const stream = new Blob([bytes]).stream();
  const text = await new Response(zipped ? stream.pipeThrough(new DecompressionStream("gzip")) : stream).text();
  return text.trimEnd().split("\n").map(parseLine);
}

function parseLine(line: string): Line {
  const { stream, type, time, actor, data } = JSON.parse(line);
  return { streamId: stream, event: { type, data, metadata: { actor }, occurredAt: new Date(time).toISOString() } };
}
