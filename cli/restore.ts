/**
 * `headwater restore`: puts the file of an export into a store, with ids, versions, positions, actors and times. The edge hides what is restored
 * until the end, so a restore that is killed can be continued with the same command, or abandoned.
 *
 *     check the file ──► begin ──► streams: what do they have? ──► events, in windows: first the streams, then the log ──► finish ──► show
 *                                        └── another event: abandon, nothing was written
 */
import type { EdgeStore } from "../client/http.ts";
import { HeadwaterError, PayloadTooLargeError } from "../shared/errors.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import * as wire from "../shared/wire/restore.ts";
import type { Schema } from "../shared/wire/schema.ts";
import { type Backup, backupRuns, checkBackup, recordedLines } from "./backup-file.ts";
import { chunks } from "./chunks.ts";
import { CommandError } from "./command-error.ts";
import { eachInFlight } from "./in-flight.ts";
import { acceptedText, acceptHistory, hasHistory } from "./lost-history.ts";
import { healthOf, Progress } from "./progress.ts";
import type { RecordedLine } from "./recorded-line.ts";
import { type RereadableFile, withRereadable } from "./rereadable-file.ts";

/** Streams in one request, at most. */
const STREAMS = 2 * DEFAULT_LIMITS.pushStreams;
/** Events that are sent together: first to their streams, and then to the log. Half of a body is left for what is around them. */
const WINDOW_EVENTS = 5_000;
const WINDOW_BYTES = DEFAULT_LIMITS.bodyBytes / 2;

/**
 * @param file a path, or `-` for standard input
 * @returns what was done, as text for the terminal
 * @throws CommandError that names the line
 */
export async function restoreFile(store: EdgeStore, file: string): Promise<string> {
  return withRereadable(file, async (rereadable) => {
    const backup = await checkBackup(rereadable);
    const { sha256, events, mark } = backup.end;
    const { restore } = await store.request("/restore", wire.restoreBegun, { file: sha256, events, mark });
    const run = new RestoreRun(store, restore.id, rereadable, backup);
    if (restore.position === 0) await run.compare();
    await run.send(restore.position);
    const finished = await store.request("/restore/finish", wire.restoreFinished, { restore: restore.id });
    await run.show();
    const report = reportOf(backup, finished);
    const health = await healthOf(store);
    const lost = health?.lostHistory;
    if (!lost || !(await hasHistory(rereadable, lost))) return report;
    // All that the log once had is there again, if at other positions.
    await acceptHistory(store, health.head);
    return `${report}\nIt has all: ${acceptedText(lost)}.`;
  });
}

/** Abandons the restore under way: the store is as it was before. */
export async function abandonRestore(store: EdgeStore): Promise<string> {
  const { restore } = await store.request("/restore", wire.restoreStatus);
  if (restore === null) throw new CommandError("No restore of this store is under way.");
  await abandon(store, restore.id);
  return `Abandoned: the store had ${restore.position} of the ${restore.events} events of the file. They are gone, and nobody saw them.`;
}

function abandon(store: EdgeStore, restore: string): Promise<unknown> {
  return store.request("/restore/abandon", wire.restoreAbandoned, { restore });
}

function reportOf({ end, streams }: Backup, { restored, moved }: wire.RestoreFinished): string {
  const lines = [
    `${restored} events restored, ${end.events - restored} were there already; ${end.events} events in ${streams.size} streams.`,
  ];
  if (moved > 0)
    lines.push(`${moved} have another position than in the file: the store had other events before, or had them in another order.`);
  return lines.join("\n");
}

type StreamRequest = { readonly streamId: string; readonly version: number; readonly firstVersion?: number; readonly events?: unknown[] };

class RestoreRun {
  readonly #store: EdgeStore;
  readonly #id: string;
  readonly #file: RereadableFile;
  readonly #backup: Backup;
  /** The versions up to which streams were compared with the file, and are equal. */
  readonly #equal = new Map<string, number>();

  constructor(store: EdgeStore, id: string, file: RereadableFile, backup: Backup) {
    this.#store = store;
    this.#id = id;
    this.#file = file;
    this.#backup = backup;
  }

  /**
   * Asks each stream of the file what it has, and compares that with the file. From then on the streams take no appends.
   *
   * @throws CommandError if a stream has another event. The restore is abandoned then, and nothing was written
   */
  async compare(): Promise<void> {
    await this.#eachStream("streams checked", (streams) => this.#restoreStreams(streams, []));
    if (this.#equal.size === 0) return;
    const progress = new Progress("events compared", this.#file.size);
    let count = 0;
    let read = 0;
    try {
      const lines = recordedLines(this.#file, (bytes) => {
        read = bytes;
      });
      const stored = (line: RecordedLine) => line.version <= (this.#equal.get(line.streamId) ?? 0);
      for await (const window of windows(lines, stored)) {
        await this.#sendStreams(window);
        count += window.length;
        progress.at(read, count);
      }
    } catch (error) {
      if (error instanceof Difference) await abandon(this.#store, this.#id);
      throw error instanceof Difference ? error.before("Nothing was written.") : error;
    } finally {
      progress.end();
    }
  }

  /** Sends what comes after a position of the file. What the edge has already is no harm. */
  async send(after: number): Promise<void> {
    const progress = new Progress("events restored", this.#backup.end.events);
    try {
      for await (const window of windows(recordedLines(this.#file), ({ position }) => position > after)) {
        await this.#sendStreams(window.filter(({ streamId, version }) => version > (this.#equal.get(streamId) ?? 0)));
        await this.#sendLog(window);
        const { position } = window.at(-1) ?? { position: after };
        progress.at(position, position);
      }
    } catch (error) {
      throw error instanceof Difference ? error.before("Abandon the restore with --abandon, and restore into a new store.") : error;
    } finally {
      progress.end();
    }
  }

  /** Tells the streams that the restore has ended, so that none of them needs to ask the log when it is read for the first time. */
  async show(): Promise<void> {
    await this.#eachStream("streams shown", (streams) => this.#restoreStreams(streams, []));
  }

  async #eachStream(what: string, work: (streams: readonly StreamRequest[]) => Promise<void>): Promise<void> {
    const { streams } = this.#backup;
    const progress = new Progress(what, streams.size);
    let done = 0;
    try {
      const all = [...streams].map(([streamId, version]) => ({ streamId, version }));
      await eachInFlight(chunks(all, STREAMS), async (chunk) => {
        await halved(chunk, work);
        done += chunk.length;
        progress.at(done, done);
      });
    } finally {
      progress.end();
    }
  }

  async #sendStreams(window: readonly RecordedLine[]): Promise<void> {
    const byStream = Map.groupBy(window, ({ streamId }) => streamId);
    const requests = chunks([...byStream.values()], STREAMS).map((own) => own.flat());
    await eachInFlight(requests, (lines) =>
      halved(lines, (some) => {
        const own = [...Map.groupBy(some, ({ streamId }) => streamId)];
        const streams = own.map(([streamId, of]) => {
          const firstVersion = of[0]?.version ?? 1;
          return { streamId, version: this.#backup.streams.get(streamId) ?? 0, firstVersion, events: of.map(({ content }) => content) };
        });
        return this.#restoreStreams(streams, some);
      }),
    );
  }

  /** @param lines those of the events, in their order */
  async #restoreStreams(streams: readonly StreamRequest[], lines: readonly RecordedLine[]): Promise<void> {
    const answer = await this.#request("/restore/streams", wire.restoredStreams, { streams }, lines);
    for (const result of answer.streams) {
      const { streamId, version } = result;
      const number = lines.find((line) => line.streamId === streamId && line.version === version)?.number;
      switch (result.status) {
        case "differs":
          throw new Difference(`line ${number}: ${streamId}@${version} is another event in the store: its ${result.field} differs.`);
        case "gap":
          throw new CommandError(
            `${streamId} ends at version ${version} at the edge, before line ${lines[0]?.number}: run the restore again.`,
          );
        default:
          if (lines.length === 0 && version > 0) this.#equal.set(streamId, Math.min(version, this.#backup.streams.get(streamId) ?? 0));
      }
    }
  }

  async #sendLog(window: readonly RecordedLine[]): Promise<void> {
    await halved(window, async (lines) => {
      const first = lines[0]?.position ?? 1;
      const body = { position: first, runs: backupRuns(lines) };
      const { position } = await this.#request("/restore/log", wire.restoredLog, body, lines);
      if (position < first - 1) throw new CommandError(`The store has the file up to #${position} and no further: run the restore again.`);
    });
  }

  async #request<T>(path: string, schema: Schema<T>, body: object, lines: readonly RecordedLine[]): Promise<T> {
    try {
      return await this.#store.request(path, schema, { restore: this.#id, ...body });
    } catch (error) {
      const line = error instanceof HeadwaterError ? lineOf(error.details.field, body, lines) : undefined;
      if (line === undefined || (error instanceof PayloadTooLargeError && lines.length > 1)) throw error;
      throw new CommandError(`line ${line.number}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** The line of an event that the edge names by its place in the request, e.g. `streams[2].events[0].id`. */
function lineOf(field: string | undefined, body: object, lines: readonly RecordedLine[]): RecordedLine | undefined {
  const [, list = "", outer, inner] = /^(\w+)\[(\d+)\]\.events\[(\d+)\]/.exec(field ?? "") ?? [];
  const parts: readonly { events?: readonly unknown[] }[] = (body as Record<string, never>)[list] ?? [];
  if (outer === undefined) return undefined;
  const before = parts.slice(0, Number(outer)).reduce((sum, { events = [] }) => sum + events.length, 0);
  return lines[before + Number(inner)];
}

/** A stream of the store has another event than the file. */
class Difference extends CommandError {
  before(sentence: string): CommandError {
    return new CommandError(`${this.message} ${sentence}`, { cause: this });
  }
}

/** Lines that are sent together. */
async function* windows(
  lines: AsyncIterable<RecordedLine>,
  isWanted: (line: RecordedLine) => boolean,
): AsyncGenerator<readonly RecordedLine[]> {
  let window: RecordedLine[] = [];
  let bytes = 0;
  for await (const line of lines) {
    if (!isWanted(line)) continue;
    const size = Buffer.byteLength(line.text);
    if (window.length >= WINDOW_EVENTS || (window.length > 0 && bytes + size > WINDOW_BYTES)) {
      yield window;
      window = [];
      bytes = 0;
    }
    window.push(line);
    bytes += size;
  }
  if (window.length > 0) yield window;
}

/** Sends less at once if the edge has smaller limits. */
async function halved<T>(items: readonly T[], send: (items: readonly T[]) => Promise<void>): Promise<void> {
  try {
    await send(items);
  } catch (error) {
    if (!(error instanceof PayloadTooLargeError) || items.length < 2) throw error;
    const middle = items.length >> 1;
    await halved(items.slice(0, middle), send);
    await halved(items.slice(middle), send);
  }
}
