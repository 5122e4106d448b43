/**
 * `headwater verify`: reads a whole store twice, by its feed and stream by stream, and reports how the two differ. With a file, it also reports
 * how the feed and the file differ.
 */
import { hash } from "node:crypto";
import type { EdgeStore } from "../client/http.ts";
import { type RecordedEvent, StreamNotFoundError } from "../client/index.ts";
import { CommandError } from "./command-error.ts";
import { FileComparison } from "./file-comparison.ts";
import { eachInFlight } from "./in-flight.ts";
import { eventsIn, Progress } from "./progress.ts";
import { withRereadable } from "./rereadable-file.ts";

/** What to keep of a stream in the feed: enough to compare, and small enough to keep one for each stream. */
interface Digest {
  readonly version: number;
  /** Chained over the stream's events. */
  readonly hash: string;
}

/** Findings that are printed, at most. */
const MOST_FINDINGS = 20;

/** @param against the path of an export, or `-` for standard input */
export async function verifyStore(store: EdgeStore, against?: string): Promise<void> {
  if (against === undefined) return verify(store, undefined);
  return withRereadable(against, async (file) => verify(store, await FileComparison.read(file)));
}

async function verify(store: EdgeStore, comparison: FileComparison | undefined): Promise<void> {
  const findings: string[] = [];
  const { streams, position } = await readFeed(store, findings, comparison);
  await checkList(store, streams, findings);
  const ahead = await checkStreams(store, streams, findings);
  findings.push(...((await comparison?.findings()) ?? []));
  if (findings.length > 0) {
    const shown = findings.slice(0, MOST_FINDINGS).join("\n  ");
    const more = findings.length > MOST_FINDINGS ? `\n  and ${findings.length - MOST_FINDINGS} more` : "";
    throw new CommandError(`${findings.length} findings:\n  ${shown}${more}`);
  }
  console.log(
    `clean: ${position} events in ${streams.size} streams; positions, versions and ids are correct, and each stream matches the feed.`,
  );
  if (comparison !== undefined) console.log(`clean: ${comparison.compared} events compared with ${comparison.name}: all are equal.`);
  if (ahead > 0) console.log(`${ahead} streams have events that the feed did not have yet when it was read.`);
}

async function readFeed(
  store: EdgeStore,
  findings: string[],
  comparison: FileComparison | undefined,
): Promise<{ streams: Map<string, Digest>; position: number }> {
  const progress = new Progress("events read from the feed", await eventsIn(store));
  const streams = new Map<string, Digest>();
  let position = 0;
  for await (const event of store.readAll()) {
    if (event.position !== position + 1) findings.push(`#${event.position} follows #${position} in the feed.`);
    position = event.position;
    const before = streams.get(event.streamId) ?? { version: 0, hash: "" };
    if (event.version !== before.version + 1) findings.push(`${event.streamId}@${event.version} follows @${before.version} in the feed.`);
    streams.set(event.streamId, { version: event.version, hash: chained(before.hash, event) });
    comparison?.add(event);
    progress.at(position, position);
  }
  progress.end();
  return { streams, position };
}

/** Takes the fields in a fixed order: the feed and the stream may send them in different ones. */
function chained(before: string, event: RecordedEvent): string {
  const { id, streamId, version, position, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor } = event;
  const fields = [id, streamId, version, position, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor];
  return hash("sha256", before + JSON.stringify(fields), "base64");
}

/** @returns how many streams have more events than the feed had */
async function checkStreams(store: EdgeStore, streams: ReadonlyMap<string, Digest>, findings: string[]): Promise<number> {
  const progress = new Progress("streams compared", streams.size);
  let ahead = 0;
  let checked = 0;
  await eachInFlight(streams, async ([streamId, expected]) => {
    ahead += (await checkStream(store, streamId, expected, findings)) ? 1 : 0;
    progress.at(++checked, checked);
  });
  progress.end();
  return ahead;
}

async function checkStream(store: EdgeStore, streamId: string, expected: Digest, findings: string[]): Promise<boolean> {
  try {
    // Events that were appended after the feed was read are not compared.
    const { events, version } = await store.readStream(streamId, { limit: expected.version });
    const ids = new Set<string>();
    let found = "";
    for (const { pending: _, ...event } of events) {
      if (ids.has(event.id)) findings.push(`${streamId}@${event.version} repeats the id ${event.id}.`);
      ids.add(event.id);
      found = chained(found, event);
    }
    if (found !== expected.hash) findings.push(`${streamId}: the stream and the feed differ.`);
    return version > expected.version;
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error;
    findings.push(`${streamId} is in the feed, but the stream does not exist.`);
    return false;
  }
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
