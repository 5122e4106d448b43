/**
 * `headwater verify`: reads a whole store twice, by its feed and stream by stream, and reports how the two differ. It goes on behind what can't be
 * read, and names it. With a file, it also reports how the feed and the file differ.
 *
 *     health ──► index ──► feed ──► per stream and version: position, digest ──► list of streams ──► each stream, event by event ──► findings
 *       └── the log has lost its history: streams are not read, because they would send it what it lacks, at new positions
 *
 * Each finding names the side: the log, whose events the feed has, or the stream.
 */
import type { DamagedSpan, EdgeStore, StoreHealth, StreamEvent } from "../client/http.ts";
import { ForbiddenError, StreamDivergedError, StreamNotFoundError, UnavailableError } from "../client/index.ts";
import { contentOf, eventDigest } from "../shared/event/digest.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { isAmong, placesOf, without } from "../shared/places.ts";
import { reconciledStreams } from "../shared/wire/reconcile.ts";
import { allIndexed, allStreams, isUnknownRoute, reconciledPortions } from "./all-pages.ts";
import { apart } from "./apart.ts";
import { chunks } from "./chunks.ts";
import { CommandError } from "./command-error.ts";
import { positionsOf } from "./export.ts";
import { FileComparison } from "./file-comparison.ts";
import { eachInFlight } from "./in-flight.ts";
import { print } from "./output.ts";
import { healthOf, Progress } from "./progress.ts";
import { withRereadable } from "./rereadable-file.ts";

/** A stream as the log has it: enough to compare, and small enough to keep it of each event. What can't be read is left out. */
interface Logged {
  /** By version. */
  readonly positions: number[];
  readonly digests: string[];
  /** The last version. */
  head: number;
}

interface Feed {
  readonly streams: ReadonlyMap<string, Logged>;
  /** How far it was read. */
  readonly position: number;
  readonly damaged: readonly DamagedSpan[];
}

interface List {
  /** Of the streams to be compared. */
  readonly versions: ReadonlyMap<string, number>;
  /** Whether the log has the stream by now. */
  isListed(streamId: string): boolean;
}

const NOT_READ = "The streams were not compared with the log: a stream that is read sends it what it lacks, at new positions.";
/** Findings that are printed, at most. */
const MOST_FINDINGS = 20;

/** @param against the path of an export, or `-` for standard input */
export async function verifyStore(store: EdgeStore, against?: string): Promise<void> {
  if (against === undefined) return verify(store, undefined);
  return withRereadable(against, async (file) => verify(store, await FileComparison.read(file)));
}

async function verify(store: EdgeStore, comparison: FileComparison | undefined): Promise<void> {
  const findings: string[] = [];
  const began = Date.now();
  const before = await healthOf(store);
  const hasLost = Boolean(before?.lostHistory);
  // Before the list: whatever the index has was in the log by then.
  const indexed = await readIndex(store);
  const feed = await readFeed(store, before?.events, findings, comparison);
  const { versions, isListed } = await readList(store, feed, findings);
  const forgotten = indexed.filter((streamId) => !isListed(streamId));
  const gone = await checkForgotten(store, forgotten, findings);
  const ahead = hasLost ? 0 : await checkStreams(store, feed, versions, began, findings);
  findings.push(...disagreements(hasLost ? before : await healthOf(store)));
  if (hasLost) findings.push(NOT_READ);
  findings.push(...(await wrongMarks(store, feed)));
  findings.push(...((await comparison?.findings()) ?? []));
  if (findings.length > 0) {
    const more = findings.length > MOST_FINDINGS ? [`and ${findings.length - MOST_FINDINGS} more`] : [];
    throw new CommandError(`${findings.length} findings:`, { list: [...findings.slice(0, MOST_FINDINGS), ...more] });
  }
  print(
    `clean: ${feed.position} events in ${feed.streams.size} streams; positions, versions and ids are correct, and each stream matches the feed.`,
  );
  if (comparison !== undefined) print(`clean: ${comparison.compared} events compared with ${comparison.name}: all are equal.`);
  if (ahead > 0) print(`${ahead} streams have events that the feed did not have yet when it was read.`);
  if (gone > 0) print(`${gone} streams that the store once had are neither in the log nor in an object of theirs: both were put back.`);
}

async function readIndex(store: EdgeStore): Promise<readonly string[]> {
  const streams: string[] = [];
  await ifAllowed(async () => {
    for await (const streamId of allIndexed(store)) streams.push(streamId);
  });
  return streams;
}

/**
 * The streams are not read. A reader would have them send the log what it lacks, at new positions, and a restore could not give them the old ones.
 *
 * @param forgotten streams of the index that the log does not have
 * @returns how many of them nobody has
 */
async function checkForgotten(store: EdgeStore, forgotten: readonly string[], findings: string[]): Promise<number> {
  let gone = 0;
  const look = async (streamIds: readonly string[]) => {
    const request = { dryRun: true, streams: streamIds.map((streamId) => ({ streamId })) };
    return (await store.request("/reconcile/streams", reconciledStreams, request)).streams;
  };
  await eachInFlight(chunks(forgotten, DEFAULT_LIMITS.pushStreams), async (some) => {
    const streams = await apart(store, some, look, (streamId, { message }) =>
      findings.push(`${streamId} is not in the log, and can't be looked at: ${message}`),
    );
    for (const { streamId, version } of streams) {
      if (version === 0) gone++;
      else findings.push(`${streamId} has ${placesOf("version", 1, version)}, and the log has lost the whole stream.`);
    }
  });
  return gone;
}

/** Does what only administrators may do, unless the token does not allow it, or the edge is of an earlier version and has no such route. */
async function ifAllowed(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ForbiddenError) && !isUnknownRoute(error)) throw error;
  }
}

/** What the store itself has noticed. */
function disagreements(health: StoreHealth | undefined): string[] {
  const { diverged = 0, subscriptionsAhead = 0, lostHistory = null } = health ?? {};
  const findings: string[] = [];
  if (diverged > 0) findings.push(`The store reports ${diverged} streams that hold other events than the log, and take no appends.`);
  if (subscriptionsAhead > 0) {
    findings.push(
      `The store reports ${subscriptionsAhead} subscriptions that have handled more than the log has: the log was put back to an older copy.`,
    );
  }
  if (lostHistory !== null) {
    findings.push(
      `The log once reached #${lostHistory.head} with another history than it has now: it has lost its end, was put back, or deleted.`,
    );
  }
  return findings;
}

/** Marks that do not follow from the events before them. Devices whose cursor is there would be told that they have another history. */
async function wrongMarks(store: EdgeStore, { damaged }: Feed): Promise<string[]> {
  const findings: string[] = [];
  await ifAllowed(async () => {
    for await (const { repaired, lost } of reconciledPortions(store, true)) {
      const wrong = [...repaired, ...lost].flatMap((places) => without(places, damaged));
      for (const places of wrong) findings.push(`The log's mark is wrong at ${positionsOf(places)}: headwater reconcile repairs it.`);
    }
  });
  return findings;
}

async function readFeed(
  store: EdgeStore,
  events: number | undefined,
  findings: string[],
  comparison: FileComparison | undefined,
): Promise<Feed> {
  const progress = new Progress("events read from the feed", events);
  const streams = new Map<string, Logged>();
  const damaged: DamagedSpan[] = [];
  let position = 0;
  const onDamaged = (span: DamagedSpan) => {
    damaged.push(span);
    findings.push(`The log can't be read at ${positionsOf(span)}: its storage is damaged there.`);
  };
  for await (const event of store.readAll({ onDamaged })) {
    const isMissing = event.position !== position + 1 && !damaged.some(({ first }) => first === position + 1);
    if (isMissing) findings.push(`#${event.position} follows #${position} in the feed.`);
    position = event.position;
    const { streamId, version } = event;
    const logged = streams.get(streamId) ?? { positions: [], digests: [], head: 0 };
    streams.set(streamId, logged);
    const before = logged.head;
    // What is missing may be at a damaged position. The stream shows it.
    if (version <= before || (version !== before + 1 && damaged.length === 0)) {
      findings.push(`${streamId}@${version} follows @${before} in the feed.`);
    }
    logged.positions[version] = position;
    logged.digests[version] = eventDigest(streamId, version, contentOf(event));
    logged.head = version;
    comparison?.add(event);
    progress.at(position, position);
  }
  progress.end();
  return { streams, position: Math.max(position, damaged.at(-1)?.last ?? 0), damaged };
}

/** The versions of all streams, by the list of streams and by the feed. */
async function readList(store: EdgeStore, { streams, damaged }: Feed, findings: string[]): Promise<List> {
  const versions = new Map<string, number>();
  const others = new Set<string>();
  for await (const { streamId, version } of allStreams(store)) {
    // A stream that the feed did not have was appended to since, or is at a damaged position.
    if (streams.has(streamId) || damaged.length > 0) versions.set(streamId, version);
    else others.add(streamId);
  }
  let unlisted = 0;
  for (const [streamId, { head }] of streams) {
    const listed = versions.get(streamId);
    if (listed === undefined) unlisted++;
    else if (listed < head) findings.push(`${streamId} is listed at version ${listed}, but the feed has @${head}.`);
    versions.set(streamId, Math.max(head, listed ?? 0));
  }
  if (unlisted > 0) findings.push(`${unlisted} streams of the feed are not in the list of streams.`);
  return { versions, isListed: (streamId) => versions.has(streamId) || others.has(streamId) };
}

/** @param began when the feed was read, in milliseconds since 1970 @returns how many streams have more events than the feed had */
async function checkStreams(
  store: EdgeStore,
  feed: Feed,
  versions: ReadonlyMap<string, number>,
  began: number,
  findings: string[],
): Promise<number> {
  const progress = new Progress("streams compared", versions.size);
  let ahead = 0;
  let checked = 0;
  await eachInFlight(versions, async ([streamId, version]) => {
    if (await checkStream(store, feed, streamId, version, findings)) {
      ahead++;
      const late = await checkLate(store, streamId, version + 1, began);
      if (late !== undefined) findings.push(late);
    }
    progress.at(++checked, checked);
  });
  progress.end();
  return ahead;
}

/** @param limit how many of its events are compared: what was appended after the feed was read is not */
async function checkStream(store: EdgeStore, feed: Feed, streamId: string, limit: number, findings: string[]): Promise<boolean> {
  const logged: Logged = feed.streams.get(streamId) ?? { positions: [], digests: [], head: 0 };
  const damaged: DamagedSpan[] = [];
  try {
    const { events, version } = await store.readStream(streamId, { limit, onDamaged: (span) => damaged.push(span) });
    for (const { first, last } of damaged) {
      findings.push(`${streamId} can't be read at ${placesOf("version", first, last)} in the stream: its storage is damaged there.`);
    }
    const ids = new Set<string>();
    const found = new Set<number>();
    for (const event of events) {
      if (ids.has(event.id)) findings.push(`${streamId}@${event.version} repeats the id ${event.id}.`);
      ids.add(event.id);
      found.add(event.version);
      const finding = compare(event, logged, feed);
      if (finding !== undefined) findings.push(finding);
    }
    const missing = Object.keys(logged.positions).filter((at) => !found.has(Number(at)) && !isAmong(Number(at), damaged));
    const [first] = missing;
    if (first !== undefined) {
      const more = missing.length === 1 ? "" : `, and ${missing.length - 1} later versions`;
      findings.push(`${streamId}@${first} (#${logged.positions[Number(first)]}) is in the log and not in the stream${more}.`);
    }
    return version > Math.max(logged.head, limit);
  } catch (error) {
    if (error instanceof UnavailableError) {
      // If the edge does not answer at all, nothing more can be said.
      await healthOf(store);
      findings.push(`${streamId} can't be looked at: ${error.message}`);
    } else if (error instanceof StreamNotFoundError || error instanceof StreamDivergedError) {
      // A stream that has lost everything asks the log, if it can be reached.
      findings.push(`${streamId} is in the feed, but the stream has no events.`);
    } else {
      throw error;
    }
    return false;
  }
}

/** What the feed should have had by then: a stream publishes an event as it records it, and tries again for five minutes at most. */
const LATE = 10 * 60_000;

/** An event that the feed did not have though it is old; undefined if it is not. @param version the first that the feed did not have */
async function checkLate(store: EdgeStore, streamId: string, version: number, began: number): Promise<string | undefined> {
  const { events } = await store.readStream(streamId, { from: version, limit: 1, onDamaged: () => undefined });
  const [event] = events;
  if (event === undefined || Date.parse(event.recordedAt ?? "") > began - LATE) return undefined;
  return `${streamId}@${event.version} was recorded at ${event.recordedAt}, and the feed did not have it: the log had lost it, or could not be reached.`;
}

/** How a stream's event differs from the log's; undefined if it does not. */
function compare(event: StreamEvent, { positions, digests, head }: Logged, { position, damaged }: Feed): string | undefined {
  const { streamId, version } = event;
  const name = `${streamId}@${version}`;
  const logged = positions[version];
  if (logged === undefined) {
    if (event.position === null && version <= head) return `${name} is in the stream, and the log has lost it.`;
    if (event.position === null || event.position > position) return undefined;
    const at = event.position;
    return isAmong(at, damaged)
      ? `${name} (#${at}) can't be read in the log, and the stream has it.`
      : `${name} (#${at}) is in the stream and not in the feed.`;
  }
  if (eventDigest(streamId, version, contentOf(event)) !== digests[version]) {
    return `${name} (#${logged}): the stream and the log hold different events.`;
  }
  if (event.position !== null && event.position !== logged) {
    return `${name} is #${event.position} by the stream and #${logged} in the feed.`;
  }
  return undefined;
}
