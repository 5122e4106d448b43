/**
 * `headwater import`: consecutive lines of one stream are one commit, which expects the version that the file gives the stream. Ids are
 * made from place and content, so an import that broke off can be run again: events that are already stored are duplicates.
 */
import { statSync } from "node:fs";
import type { EdgeStore } from "../client/http.ts";
import type { NewEvent } from "../client/index.ts";
import { HeadwaterError, PayloadTooLargeError } from "../shared/errors.ts";
import type { Commit } from "../shared/event/commit.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { CommandError } from "./command-error.ts";
import { eventIdFor, openLines, parseLine } from "./lines.ts";
import { Progress } from "./progress.ts";

interface NumberedCommit {
  readonly commit: Commit;
  readonly firstLine: number;
  readonly size: number;
}

const { pushStreams, pushCommits, commitEvents, bodyBytes, commitBytes } = DEFAULT_LIMITS;
/** Characters of a push: the limit of the body counts bytes of UTF-8, and a character has up to four. */
const PUSH_SIZE = bodyBytes / 4;

export async function importFile(store: EdgeStore, file: string): Promise<void> {
  const source = openLines(file);
  const progress = new Progress("events imported", file === "-" ? undefined : sizeOf(file));
  let appended = 0;
  let repeated = 0;
  try {
    for await (const batch of batches(commits(store, source.lines))) {
      const results = await pushAll(store, batch);
      for (const [i, { commit, firstLine }] of batch.entries()) {
        const result = results[i];
        if (result?.status === "committed") appended += commit.events.length;
        else if (result?.status === "duplicate") repeated += commit.events.length;
        else throw rejection(commit, firstLine, result);
      }
      progress.at(source.bytesRead(), appended + repeated);
    }
  } finally {
    progress.end();
  }
  console.log(`${appended} events appended, ${repeated} already stored.`);
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new CommandError(`${file} can't be read: ${(error as Error).message}`);
  }
}

/** Memory has a version for each stream of the file, and one commit. */
async function* commits(store: EdgeStore, lines: AsyncIterable<string>): AsyncGenerator<NumberedCommit> {
  const versions = new Map<string, number>();
  let streamId = "";
  let events: NewEvent[] = [];
  let firstLine = 0;
  let size = 0;
  let number = 0;
  const cut = (): NumberedCommit => {
    const version = versions.get(streamId) ?? 0;
    versions.set(streamId, version + events.length);
    const identified = events.map((event, i) => ({ ...event, id: event.id ?? eventIdFor(streamId, version + 1 + i, event) }));
    try {
      const commit = store.prepare(streamId, identified, { expectedVersion: version === 0 ? "no-stream" : version });
      return { commit, firstLine, size };
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      throw new CommandError(`${lineOf(error, firstLine)}: ${error.message}`);
    }
  };
  for await (const text of lines) {
    number++;
    if (text.trim() === "") continue;
    const line = parseLine(text, number);
    // Only the name of the stream makes a line longer than its event's JSON, so a commit stays far below the limit.
    if (events.length > 0 && (line.streamId !== streamId || events.length === commitEvents || size + text.length > commitBytes / 4)) {
      yield cut();
      events = [];
      size = 0;
    }
    if (events.length === 0) firstLine = number;
    streamId = line.streamId;
    events.push(line.event);
    size += text.length;
  }
  if (events.length > 0) yield cut();
}

/** The line of the event that an error names. Blank lines in between may shift it. */
function lineOf(error: HeadwaterError, firstLine: number): string {
  const index = /^events\[(\d+)\]/.exec(error.details.field ?? "")?.[1];
  return `line ${firstLine + Number(index ?? 0)}`;
}

async function* batches(all: AsyncIterable<NumberedCommit>): AsyncGenerator<NumberedCommit[]> {
  let batch: NumberedCommit[] = [];
  let streams = new Set<string>();
  let size = 0;
  for await (const item of all) {
    const { streamId } = item.commit;
    const full = batch.length >= pushCommits || size + item.size > PUSH_SIZE || (streams.size >= pushStreams && !streams.has(streamId));
    if (batch.length > 0 && full) {
      yield batch;
      batch = [];
      streams = new Set();
      size = 0;
    }
    batch.push(item);
    streams.add(streamId);
    size += item.size;
  }
  if (batch.length > 0) yield batch;
}

async function pushAll(store: EdgeStore, batch: readonly NumberedCommit[]): ReturnType<EdgeStore["push"]> {
  try {
    return await store.push(batch.map(({ commit }) => commit));
  } catch (error) {
    if (!(error instanceof PayloadTooLargeError) || batch.length === 1) throw error;
    const middle = batch.length >> 1;
    return [...(await pushAll(store, batch.slice(0, middle))), ...(await pushAll(store, batch.slice(middle)))];
  }
}

function rejection(commit: Commit, firstLine: number, result: Awaited<ReturnType<EdgeStore["push"]>>[number] | undefined): CommandError {
  const detail = result !== undefined && "detail" in result ? result.detail : "the edge returned no result for it";
  const also = result?.status === "conflict" ? " The store has other events in this stream: import the file into a new store." : "";
  return new CommandError(`line ${firstLine}: the commit to ${commit.streamId} was rejected: ${detail}${also}`);
}
