/** `headwater verify`: reads a whole store twice, by its feed and stream by stream, and says where the two disagree. */
import { createHash, type Hash } from "node:crypto";
import type { EdgeStore } from "../client/http.ts";
import type { RecordedEvent } from "../client/index.ts";
import { CommandError } from "./command-error.ts";
import { Progress } from "./progress.ts";

/** What the feed says of a stream: enough to compare, and little enough to hold for each stream. */
interface Digest {
  version: number;
  readonly hash: Hash;
  ids: Set<string> | undefined;
}

const MOST_FINDINGS = 20;
/** Streams read at once. */
const IN_FLIGHT = 6;

export async function verifyStore(store: EdgeStore): Promise<void> {
  const findings: string[] = [];
  const streams = new Map<string, Digest>();
  const progress = new Progress("verify", undefined);
  let position = 0;
  for await (const event of store.readAll()) {
    if (event.position !== position + 1) findings.push(`#${event.position} follows #${position} in the feed.`);
    position = event.position;
    addTo(streams, event, findings);
    progress.at(position, position);
  }
  progress.end();
  await checkList(store, streams, findings);
  const pending = [...streams];
  const reader = async () => {
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) await checkStream(store, ...next, findings);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, reader));
  if (findings.length > 0) {
    const shown = findings.slice(0, MOST_FINDINGS).join("\n  ");
    const more = findings.length > MOST_FINDINGS ? `\n  and ${findings.length - MOST_FINDINGS} more` : "";
    throw new CommandError(`${findings.length} findings:\n  ${shown}${more}`);
  }
  console.log(
    `clean: ${position} events in ${streams.size} streams; positions, versions and ids are as they must be, and each stream equals the feed.`,
  );
}

function addTo(streams: Map<string, Digest>, event: RecordedEvent, findings: string[]): void {
  let digest = streams.get(event.streamId);
  if (digest === undefined) {
    digest = { version: 0, hash: createHash("sha256"), ids: new Set() };
    streams.set(event.streamId, digest);
  }
  if (event.version !== digest.version + 1) findings.push(`${event.streamId}@${event.version} follows @${digest.version} in the feed.`);
  if (digest.ids?.has(event.id)) findings.push(`${event.streamId}@${event.version} repeats the id ${event.id}.`);
  digest.ids?.add(event.id);
  digest.version = event.version;
  digest.hash.update(JSON.stringify(sorted(event)));
}

/** Fields in one order, whoever wrote them: the feed and the stream need not agree on that. */
function sorted(event: RecordedEvent): unknown[] {
  const { id, streamId, version, position, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor } = event;
  return [id, streamId, version, position, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor];
}

async function checkStream(store: EdgeStore, streamId: string, expected: Digest, findings: string[]): Promise<void> {
  const hash = createHash("sha256");
  // Events that came after the feed was read are of no concern.
  const { events } = await store.readStream(streamId, { limit: expected.version });
  for (const { pending: _, ...event } of events) hash.update(JSON.stringify(sorted(event)));
  expected.ids = undefined;
  if (hash.digest("hex") !== expected.hash.digest("hex")) findings.push(`${streamId}: the stream and the feed disagree.`);
}

async function checkList(store: EdgeStore, streams: ReadonlyMap<string, Digest>, findings: string[]): Promise<void> {
  let listed = 0;
  let after: string | undefined;
  do {
    const page = await store.listStreams({ limit: 1000, ...(after === undefined ? {} : { after }) });
    for (const { streamId, version } of page.streams) {
      const known = streams.get(streamId);
      if (known !== undefined) listed++;
      if (known !== undefined && version < known.version)
        findings.push(`${streamId} is listed at version ${version}, but the feed has @${known.version}.`);
    }
    after = page.next ?? undefined;
  } while (after !== undefined);
  if (listed !== streams.size) findings.push(`${streams.size - listed} streams of the feed are not in the list of streams.`);
}
