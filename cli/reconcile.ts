/**
 * `headwater reconcile`: repairs a store whose storage was damaged, lost or put back to an older copy. Each event is stored twice, in its stream
 * and in the log, so one side can be repaired from the other. The edge does it, in parts; if the command breaks off, run it again.
 *
 *     log, from the streams, or else from the backup ──► each stream, from the log ──► what neither can read, from the backup
 *                                                           │                              └──► log again ──► has it all that it had?
 *                                                           └── the log has other events: saved to a file, and then replaced
 */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { DamagedSpan, EdgeStore } from "../client/http.ts";
import type { LogEnd } from "../shared/edge/subscription.ts";
import { PayloadTooLargeError } from "../shared/errors.ts";
import { DEFAULT_LIMITS } from "../shared/limits.ts";
import { isAmong, placesOf } from "../shared/places.ts";
import * as wire from "../shared/wire/reconcile.ts";
import { allIndexed, allStreams, reconciledPortions } from "./all-pages.ts";
import { apart } from "./apart.ts";
import { type Backup, backupRuns, checkBackup, recordedLines } from "./backup-file.ts";
import { chunks } from "./chunks.ts";
import { CommandError } from "./command-error.ts";
import { positionsOf } from "./export.ts";
import { eachInFlight } from "./in-flight.ts";
import { acceptedText, acceptHistory, hasHistory } from "./lost-history.ts";
import { jsonLine } from "./output.ts";
import { healthOf, Progress } from "./progress.ts";
import type { RecordedLine } from "./recorded-line.ts";
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
  /** The store as it is counts from now on. Events that it once had, and that are gone, are given up. */
  readonly acceptLoss?: boolean;
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
  /** The last version of each stream that was reconciled. */
  readonly #versions = new Map<string, number>();
  /** How many events each stream has sent to the log. */
  readonly #sent = new Map<string, number>();
  /** Whether the log lacks positions between others. A restore would give their events other ones, and nothing would fit there any more. */
  #hasHoles = false;
  /** Why events of the backup could not be sent, by the first position. */
  readonly #tooLarge = new Map<number, string>();
  /** Up to which version the log gets each stream from the backup. */
  readonly #filled = new Map<string, number>();
  /** Positions that the backup has events for which neither side can read. */
  readonly #given = new Set<number>();

  constructor(store: EdgeStore, choice: ReconcileChoice, file?: RereadableFile, backup?: Backup) {
    this.#store = store;
    this.#choice = choice;
    this.#file = file;
    this.#backup = backup;
  }

  async run(): Promise<string> {
    const { dryRun, streams: chosen, prefix } = this.#choice;
    const isAll = chosen === undefined && prefix === undefined;
    const before = await healthOf(this.#store);
    let lost = await this.#fill(await this.#repairLog());
    const streams = await this.#streamIds();
    const { unreadable, different } = await this.#repairStreams(streams);
    await this.#replace(different);
    const rest = await this.#fromBackup(unreadable);
    if (lost.length > 0) lost = dryRun ? this.#withoutGiven(lost) : await this.#repairLog();
    this.#nameLost(lost);
    for (const { streamId, lost } of rest) {
      for (const { first, last } of lost)
        this.#left.push(`${streamId} has nothing at ${placesOf("version", first, last)}, and neither has the log.`);
    }
    this.#checkEnds();
    if (isAll && before?.lostHistory) await this.#checkHistory(before.lostHistory, before.head);
    if (this.#left.length > 0) {
      throw new CommandError(`${this.#done.length} ${dryRun ? "to be repaired" : "repaired"}, ${this.#left.length} left:`, {
        list: shortened([...this.#left, ...this.#done]),
      });
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

  /** Positions that no stream has events for get those of the backup, if the log's marks prove them. @returns the others */
  async #fill(lost: readonly DamagedSpan[]): Promise<readonly DamagedSpan[]> {
    if (this.#file === undefined || lost.length === 0) return lost;
    const { dryRun } = this.#choice;
    const lines = new Map<DamagedSpan, RecordedLine[]>(lost.map((span) => [span, []]));
    for await (const line of recordedLines(this.#file)) {
      const span = lost.find(({ first, last }) => line.position >= first && line.position <= last);
      if (span !== undefined) lines.get(span)?.push(line);
    }
    const rest: DamagedSpan[] = [];
    for (const [span, own] of lines) {
      const isFilled = own.length === span.last - span.first + 1 && (await this.#fillSpan(span, own));
      if (!isFilled) {
        rest.push(span);
        continue;
      }
      this.#done.push(`the log at ${positionsOf(span)}, from the file`);
      for (const { streamId, version } of own) this.#filled.set(streamId, Math.max(version, this.#filled.get(streamId) ?? 0));
    }
    // What has its events again may prove what is beside it.
    return dryRun || rest.length === 0 ? rest : this.#repairLog();
  }

  /** @param lines of all its positions. Their events go together, because the marks around them prove them together */
  async #fillSpan(span: DamagedSpan, lines: readonly RecordedLine[]): Promise<boolean> {
    const { first, last } = span;
    const body = { after: first - 1, dryRun: this.#choice.dryRun, runs: backupRuns(lines) };
    try {
      const { repaired } = await this.#store.request("/reconcile/log", wire.reconciledLog, body);
      return repaired.some((places) => places.first <= first && places.last >= last);
    } catch (error) {
      if (!(error instanceof PayloadTooLargeError)) throw error;
      this.#tooLarge.set(first, error.message);
      return false;
    }
  }

  #nameLost(lost: readonly DamagedSpan[]): void {
    // Streams send what the log lacks, which a dry run does not have them do.
    const isOpen = this.#choice.dryRun && this.#sent.size > 0;
    for (const span of lost) {
      const why = this.#tooLarge.get(span.first);
      const isInFile = span.last <= (this.#backup?.end.events ?? 0);
      let reason = "no stream has an event that fits there.";
      if (isOpen) reason = "whether what the streams send fits there shows without --dry-run.";
      else if (why !== undefined) reason = `those of the file are too large for one request: ${why}`;
      else if (isInFile) reason = "those of the file do not fit there, or have other positions by now: restore the file into a new store.";
      this.#left.push(`The log has nothing at ${positionsOf(span)}, and ${reason}`);
    }
    this.#hasHoles = lost.length > 0;
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
      const asked = some.map((streamId) => ({ streamId }));
      const onFailed = ({ streamId }: { streamId: string }, { message }: Error) =>
        this.#left.push(`${streamId} can't be looked at: ${message}`);
      for (const stream of await apart(this.#store, asked, (streams) => this.#send(streams), onFailed)) {
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
    for (const { streamId, version, logged, repaired, replaced, lost } of answer.streams) {
      // An earlier edge does not say what the log had.
      const isForgotten = this.#forgotten.delete(streamId);
      const before = logged ?? (isForgotten ? 0 : version);
      if (version === 0 && isForgotten) this.#gone++;
      // A stream that differs, or can't be read whole, sends nothing.
      if (version > before && replaced === null && lost.length === 0 && !this.#sent.has(streamId)) {
        const what = before === 0 ? `up to version ${version}` : `at ${placesOf("version", before + 1, version)}`;
        this.#done.push(`the log: ${streamId} ${what}, from the stream`);
        this.#sent.set(streamId, version - before);
      }
      this.#versions.set(streamId, Math.max(version, repaired.at(-1)?.last ?? 0));
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
    for await (const { streamId, version, position, content } of recordedLines(this.#file)) {
      if (!isAmong(version, wanted.get(streamId) ?? [])) continue;
      this.#given.add(position);
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

  /** Of positions that the log can't read, those that it would not get from the backup either. A dry run has written nothing to look at. */
  #withoutGiven(lost: readonly DamagedSpan[]): readonly DamagedSpan[] {
    return lost.filter((span) => {
      const isGiven = isWithin(span, this.#given);
      if (isGiven) this.#done.push(`the log at ${positionsOf(span)}, from the streams`);
      return !isGiven;
    });
  }

  /** A stream that ends before the backup's has lost its end, and so has the log. */
  #checkEnds(): void {
    for (const [streamId, version] of this.#backup?.streams ?? []) {
      const own = this.#versions.get(streamId);
      // A dry run has not given the stream what it would take from the log.
      const known = own === undefined ? version : Math.max(own, this.#filled.get(streamId) ?? 0);
      if (known >= version) continue;
      const missing = placesOf("version", known + 1, version);
      const remedy = this.#hasHoles ? "mend the log first" : "headwater restore FILE brings them back";
      this.#left.push(`${streamId} ends at version ${known}, and the file has ${missing}: ${remedy}.`);
    }
  }

  /**
   * A log that ends as far as before may have new events in place of some that are gone. A backup shows that none are; and so does the count, if
   * nothing was appended since: what the log had and what streams have sent is as many as before.
   *
   * @param lost what the log had lost before anything was repaired
   * @param headBefore its head at that time
   */
  async #checkHistory(lost: LogEnd, headBefore: number): Promise<void> {
    const { dryRun, acceptLoss = false } = this.#choice;
    const sent = [...this.#sent.values()].reduce((sum, count) => sum + count, 0);
    const isInBackup = this.#file !== undefined && (await hasHistory(this.#file, lost));
    const now = dryRun ? { head: headBefore + sent, lostHistory: lost } : await this.#store.health();
    // What a stream sends may have come to a hole, and does not make up for what is gone at the end.
    const isMadeUp = sent > 0 && this.#gone === 0 && headBefore + sent === lost.head && now.head === lost.head;
    const isWhole = this.#left.length === 0 && (isInBackup || isMadeUp);
    // It has everything again, at the positions of before.
    if (!now.lostHistory) return;
    if (!isWhole && !acceptLoss) {
      this.#left.push(
        `The log once reached #${lost.head} with another history than it has now, and ends at #${dryRun ? headBefore : now.head}. Events may be gone: ${this.#hasHoles ? "--against a backup mends the log, and then headwater restore" : "headwater restore with a backup"} brings them back, and --against compares with it. Without one, --accept-loss goes on from here.`,
      );
      return;
    }
    if (!dryRun) await acceptHistory(this.#store, now.head);
    this.#done.push(acceptedText(lost));
  }
}

function isWithin({ first, last }: DamagedSpan, positions: ReadonlySet<number>): boolean {
  for (let position = first; position <= last; position++) if (!positions.has(position)) return false;
  return true;
}

function shortened(lines: readonly string[]): readonly string[] {
  return lines.length <= MOST_LINES ? lines : [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
