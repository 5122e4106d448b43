/** The real input of `test/data`, as events that an app would append. */

import type { NewEvent } from "../../client/index.ts";
import friends from "../data/friendsforever.json.gz?url";
import permits from "../data/permits.ndjson.gz?url";
import tickets from "../data/tickets.ndjson.gz?url";

export interface Line {
  readonly streamId: string;
  readonly event: NewEvent;
}

const FILES = { permits, tickets };

export async function readLines(file: keyof typeof FILES): Promise<Line[]> {
  return (await unzipped(FILES[file])).trimEnd().split("\n").map(parseLine);
}

async function unzipped(url: string): Promise<string> {
  const response = await fetch(url);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A development server may send a .gz file as itself or as an encoding that the browser has already undone.
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const stream = new Blob([bytes]).stream();
  return new Response(zipped ? stream.pipeThrough(new DecompressionStream("gzip")) : stream).text();
}

/** Two people's transactions on one document, in the order of a trace that both took part in. */
export interface Transaction {
  readonly agent: number;
  readonly patches: readonly (readonly [position: number, removed: number, inserted: string])[];
}

export async function readTransactions(): Promise<Transaction[]> {
  const { txns }: { txns: Transaction[] } = JSON.parse(await unzipped(friends));
  return txns.map(({ agent, patches }) => ({ agent, patches }));
}

function parseLine(line: string): Line {
  const { stream, type, time, actor, data } = JSON.parse(line);
  return { streamId: stream, event: { type, data, metadata: { actor }, occurredAt: new Date(time).toISOString() } };
}
