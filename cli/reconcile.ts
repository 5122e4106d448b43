/**
 * `headwater reconcile`: repairs a store whose storage was damaged, lost or put back to an older copy. Each event is stored twice, in its stream
 * and in the log, so one side can be repaired from the other. The edge does it, in parts; if the command breaks off, run it again.
 *
 *     log, from the streams ──► each stream, from the log ──► what neither can read, from the backup ──► log again
 *                                  └── the log has other events: saved to a file, and then replaced
 */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { DamagedSpan, EdgeStore } from "../client/http.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { isAmong, placesOf } from "../shared/places.ts";
import * as wire from "../shared/wire/reconcile.ts";
import { allIndexed, allStreams, reconciledPortions } from "./all-pages.ts";
import { type Backup, checkBackup, recordedLines } from "./backup-file.ts";
import { chunks } from "./chunks.ts";
import { CommandError } from "./command-error.ts";
import { positionsOf } from "./export.ts";
import { eachInFlight } from "./in-flight.ts";
import { jsonLine } from "./output.ts";
import { Progress } from "./progress.ts";
import { type RereadableFile, withRereadable } from "./rereadable-file.ts";

export interface ReconcileChoice {
  readonly dryRun: boolean;
  /** Only these streams, and those whose ids begin with the prefix. Default: all that the log, the index of streams or the backup knows. */
  readonly streams?: readonly string[];
  readonly prefix?: string;
  /** The path of an export. */
  readonly against?: string;
  /** The path of a file for events that are replaced. */
  readonly saveReplaced?: string;
}

/** Findings that are printed, at most. */
const MOST_LINES = 50;
/** Passes over the log: what one pass has repaired may be what the next one needs. */
const PASSES = 3;

/**
 * @returns what was done, as text for the terminal
 * @throws CommandError if something is left that nobody has, or that the choice does not allow to replace
 */
export async function reconcileStore(store: EdgeStore, choice: ReconcileChoice): Promise<string> {
  const { against } = choice;
  if (against === undefined) return new Reconciliation(store, choice).run();
  return withRereadable(against, async (file) => new Reconciliation(store, choice, file, await checkBackup(file)).run());
}

class Reconciliation {
  readonly #store: EdgeStore;
  readonly #choice: ReconcileChoice;
  readonly #file: RereadableFile | undefined;
  readonly #backup: Backup | undefined;
  readonly #done: string[] = [];
  readonly #left: string[] = [];
  /** Streams that the index knows, and the log does not. */
  readonly #forgotten = new Set<string>();
  /** How many of those nobody has. */
  #gone = 0;

  constructor(store: EdgeStore, choice: ReconcileChoice, file?: RereadableFile, backup?: Backup) {
    this.#store = store;
    this.#choice = choice;
    this.#file = file;
    this.#backup = backup;
  }

  async run(): Promise<string> {
    const { dryRun } = this.#choice;
    let lost = await this.#repairLog();
    const streams = await this.#streamIds();
    const { unreadable, different } = await this.#repairStreams(streams);
    await this.#replace(different);
    const rest = await this.#fromBackup(unreadable);
    if (lost.length > 0 && !dryRun) lost = await this.#repairLog();
    for (const span of lost) this.#left.push(`The log has nothing at ${positionsOf(span)}, and no stream has an event that fits there.`);
    for (const { streamId, lost } of rest) {
      for (const { first, last } of lost)
        this.#left.push(`${streamId} has nothing at ${placesOf("version", first, last)}, and neither has the log.`);
    }
    if (this.#left.length > 0) {
      throw new CommandError(
        `${this.#done.length} places ${dryRun ? "can be repaired" : "were repaired"}, ${this.#left.length} are left:`,
        {
          list: shortened([...this.#left, ...this.#done]),
        },
      );
    }
    if (this.#done.length === 0) return `Nothing to repair: the log and ${streams.length - this.#gone} streams agree.`;
    return [dryRun ? "To be repaired, nothing was written:" : "Repaired:", ...shortened(this.#done)].join("\n");
  }

  /** @returns positions that could not be repaired */
  async #repairLog(): Promise<readonly DamagedSpan[]> {
    const { dryRun } = this.#choice;
    const lost: DamagedSpan[] = [];
    for (let pass = 0; pass < PASSES; pass++) {
      const progress = new Progress("positions of the log checked", undefined);
      let repaired = 0;
      lost.length = 0;
      for await (const portion of reconciledPortions(this.#store, dryRun)) {
        for (const span of portion.repaired) this.#done.push(`the log at ${positionsOf(span)}, from the streams`);
        lost.push(...portion.lost);
        repaired += portion.repaired.length;
        progress.at(portion.position, portion.position);
      }
      progress.end();
      if (repaired === 0 || dryRun) break;
    }
    return lost;
  }

  async #streamIds(): Promise<readonly string[]> {
    const { streams, prefix } = this.#choice;
    const ids = new Set(streams ?? []);
    if (streams !== undefined && prefix === undefined) return [...ids];
    const isWanted = (streamId: string) => streamId.startsWith(prefix ?? "");
    for (const streamId of this.#backup?.streams.keys() ?? []) if (isWanted(streamId)) ids.add(streamId);
    // The index is read first: whatever it has was in the log by then.
    for await (const streamId of allIndexed(this.#store)) if (isWanted(streamId)) this.#forgotten.add(streamId);
    for await (const { streamId } of allStreams(this.#store)) {
      this.#forgotten.delete(streamId);
      if (isWanted(streamId)) ids.add(streamId);
    }
    for (const streamId of this.#forgotten) ids.add(streamId);
    return [...ids];
  }

  async #repairStreams(streamIds: readonly string[]) {
    const progress = new Progress("streams checked", streamIds.length);
    const unreadable: wire.ReconciledStream[] = [];
    const different: wire.ReconciledStream[] = [];
    let checked = 0;
    await eachInFlight(chunks(streamIds, DEFAULT_LIMITS.pushStreams), async (some) => {
      for (const stream of await this.#send(some.map((streamId) => ({ streamId })))) {
        if (stream.lost.length > 0) unreadable.push(stream);
        if (stream.replaced !== null) different.push(stream);
      }
      checked += some.length;
      progress.at(checked, checked);
    });
    progress.end();
    return { unreadable, different };
  }

  async #send(streams: readonly object[]): Promise<readonly wire.ReconciledStream[]> {
    const { dryRun } = this.#choice;
    const answer = await this.#store.request("/reconcile/streams", wire.reconciledStreams, { dryRun, streams });
    for (const { streamId, version, repaired } of answer.streams) {
      if (this.#forgotten.delete(streamId)) {
        if (version === 0) this.#gone++;
        else this.#done.push(`the log: ${streamId} up to version ${version}, from the stream`);
      }
      for (const { first, last } of repaired) this.#done.push(`${streamId} at ${placesOf("version", first, last)}`);
    }
    return answer.streams;
  }

  /** The stream's own events are written to a file first: others may have been told that they are recorded. */
  async #replace(different: readonly wire.ReconciledStream[]): Promise<void> {
    const { dryRun, saveReplaced } = this.#choice;
    if (different.length === 0) return;
    if (dryRun || saveReplaced === undefined) {
      for (const { streamId, replaced } of different) {
        const versions = placesOf("version", replaced?.first ?? 0, replaced?.last ?? 0);
        this.#left.push(
          `${streamId} has other events than the log at ${versions}: --save-replaced FILE saves them, and takes those of the log.`,
        );
      }
      return;
    }
    const out = createWriteStream(saveReplaced, { flags: "a" });
    for (const { streamId, replaced } of different) {
      const { events } = await this.#store.readStream(streamId, { from: replaced?.first ?? 1 });
      for (const event of events) out.write(jsonLine(event));
    }
    out.end();
    await finished(out);
    for (const some of chunks(different, DEFAULT_LIMITS.pushStreams)) {
      await this.#send(some.map(({ streamId, replaced }) => ({ streamId, replaceFrom: replaced?.first ?? 0 })));
    }
  }

  /** Takes from the backup what neither side can read. @returns what the backup does not have either */
  async #fromBackup(unreadable: readonly wire.ReconciledStream[]): Promise<readonly wire.ReconciledStream[]> {
    if (this.#file === undefined || unreadable.length === 0) return unreadable;
    const wanted = new Map(unreadable.map((stream) => [stream.streamId, stream.lost]));
    const found = new Map<string, { firstVersion: number; events: unknown[] }[]>();
    for await (const { streamId, version, content } of recordedLines(this.#file)) {
      if (!isAmong(version, wanted.get(streamId) ?? [])) continue;
      const runs = found.get(streamId) ?? [];
      found.set(streamId, runs);
      const last = runs.at(-1);
      if (last !== undefined && last.firstVersion + last.events.length === version) last.events.push(content);
      else runs.push({ firstVersion: version, events: [content] });
    }
    const rest: wire.ReconciledStream[] = unreadable.filter(({ streamId }) => !found.has(streamId));
    for (const [streamId, runs] of found) {
      let last: wire.ReconciledStream | undefined;
      for (const run of runs) [last] = await this.#send([{ streamId, ...run }]);
      if (last !== undefined && last.lost.length > 0) rest.push(last);
    }
    return rest;
  }
}

function shortened(lines: readonly string[]): readonly string[] {
  return lines.length <= MOST_LINES ? lines : [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
