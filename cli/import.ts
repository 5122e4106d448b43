/**
 * `headwater import`: reads its file twice. The first reading checks all of it against the store (`import-plan.ts`), the second one appends
 * what the store does not have. Consecutive lines of one stream are one commit, which expects the version that the first reading found.
 */
import type { EdgeStore, PushResult } from "../client/http.ts";
import { PayloadTooLargeError } from "../shared/errors.ts";
import type { Commit } from "../shared/event/commit.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { CommandError } from "./command-error.ts";
import { type ImportPlan, placedLines, planImport } from "./import-plan.ts";
import { type NumberedText, openLines } from "./lines.ts";
import type { CheckedLine } from "./placement.ts";
import { Progress } from "./progress.ts";
import { type RereadableFile, withRereadable } from "./rereadable-file.ts";

export interface ImportChoice {
  /** Only reports what would happen. */
  readonly dryRun?: boolean;
}

/** A line whose event is appended. */
interface Appended {
  readonly line: CheckedLine;
  readonly version: number;
  readonly id: string;
}

interface NumberedCommit {
  readonly commit: Commit;
  /** The line of each event. */
  readonly lines: readonly number[];
  /** Characters. */
  readonly size: number;
}

const { pushStreams, pushCommits, commitEvents, bodyBytes, commitBytes } = DEFAULT_LIMITS;
/** Characters of a push: the limit of the body counts bytes of UTF-8, and a character has up to four. */
const PUSH_SIZE = bodyBytes / 4;
const UNREAD = " The token can't read the stream, so it was not compared with the file: use one that can.";

/**
 * @param file a path, or `-` for standard input
 * @returns what was done, as text for the terminal
 * @throws CommandError that names the line. Unless the edge rejected a commit, nothing was written then
 */
export async function importFile(store: EdgeStore, file: string, { dryRun = false }: ImportChoice = {}): Promise<string> {
  return withRereadable(file, async (rereadable) => {
    const plan = await planImport(store, rereadable);
    const report = new Report(plan.unread.size);
    if (dryRun) for await (const _ of linesToAppend(store, plan, openLines(rereadable).lines, report)) report.appended++;
    else await append(store, plan, rereadable, report);
    return report.text(dryRun);
  });
}

class Report {
  appended = 0;
  stored = 0;
  /** Events that get another version than their lines have. */
  #moved = 0;
  readonly #streams = new Set<string>();
  readonly #unread: number;

  /** @param unread streams that were not compared with the store */
  constructor(unread: number) {
    this.#unread = unread;
  }

  place({ line, version }: Appended): void {
    this.#streams.add(line.streamId);
    if (line.version !== undefined && line.version !== version) this.#moved++;
  }

  text(isDryRun: boolean): string {
    const would = `${this.appended} events would be appended to ${this.#streams.size} streams, ${this.stored} are already stored.`;
    const lines = [isDryRun ? `${would} Nothing was written.` : `${this.appended} events appended, ${this.stored} already stored.`];
    if (this.#moved > 0) lines.push(`${this.#moved} have another version than in the file, because the file lacks events before them.`);
    if (this.#unread > 0) lines.push(`${this.#unread} streams were not compared with the store: the token can't read them.`);
    return lines.join("\n");
  }
}

async function append(store: EdgeStore, plan: ImportPlan, file: RereadableFile, report: Report): Promise<void> {
  const source = openLines(file);
  const progress = new Progress("events imported", file.size);
  try {
    for await (const batch of batches(commits(store, linesToAppend(store, plan, source.lines, report)))) {
      const results = await pushAll(store, batch);
      for (const [i, numbered] of batch.entries()) {
        const result = results[i];
        const { length } = numbered.commit.events;
        if (result?.status === "committed") report.appended += length;
        // The token can't read, or somebody else imports the same file.
        else if (result?.status === "duplicate") report.stored += length;
        else throw rejection(numbered, result, plan);
      }
      progress.at(source.bytesRead(), report.appended + report.stored);
    }
  } finally {
    progress.end();
  }
}

async function* linesToAppend(
  store: EdgeStore,
  plan: ImportPlan,
  lines: AsyncIterable<NumberedText>,
  report: Report,
): AsyncGenerator<Appended> {
  for await (const { line, place } of placedLines(store, plan, lines)) {
    if (place === undefined) {
      report.stored++;
      continue;
    }
    const appended = { line, ...place };
    report.place(appended);
    yield appended;
  }
}

/** Memory has one commit. */
async function* commits(store: EdgeStore, lines: AsyncIterable<Appended>): AsyncGenerator<NumberedCommit> {
  let group: Appended[] = [];
  let size = 0;
  for await (const next of lines) {
    const streamId = group[0]?.line.streamId;
    // Only the name of the stream makes a line longer than its event's JSON, so a commit stays far below the limit.
    const isFull = group.length === commitEvents || size + next.line.size > commitBytes / 4;
    if (streamId !== undefined && (isFull || streamId !== next.line.streamId)) {
      yield commitOf(store, group, size);
      group = [];
      size = 0;
    }
    group.push(next);
    size += next.line.size;
  }
  if (group.length > 0) yield commitOf(store, group, size);
}

function commitOf(store: EdgeStore, group: readonly Appended[], size: number): NumberedCommit {
  const streamId = group[0]?.line.streamId ?? "";
  const before = (group[0]?.version ?? 1) - 1;
  const events = group.map(({ line, id }) => ({ ...line.event, id }));
  const commit = store.prepare(streamId, events, { expectedVersion: before === 0 ? "no-stream" : before });
  return { commit, lines: group.map(({ line }) => line.number), size };
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

function rejection({ commit, lines }: NumberedCommit, result: PushResult | undefined, { unread }: ImportPlan): CommandError {
  const index = /events\[(\d+)\]/.exec((result?.status === "rejected" && result.field) || "")?.[1] ?? 0;
  const detail = result !== undefined && "detail" in result ? result.detail : "the edge returned no result for it";
  const isConflict = result?.status === "conflict";
  const also = unread.has(commit.streamId) ? UNREAD : isConflict ? " Somebody else appended to the stream: run the import again." : "";
  return new CommandError(`line ${lines[Number(index)]}: the commit to ${commit.streamId} was rejected: ${detail}${also}`);
}
