/**
 * A restore, as the log sees it. The log stages the runs of a backup in a table that no reader looks at. The end of the restore makes all of
 * them visible in one transaction.
 *
 *     begin ──► stage, in parts ──► finish: the log was empty ──► the staged table becomes the table of runs, whatever its size
 *        │                                  the log has events ─► what it lacks is added after its head
 *        └── abandon: the table is dropped
 *
 *     "restore"          the restore under way                       `staged`: a table like `runs`, by the positions of the file
 *     "restore/<id>"     how an earlier one ended: a stream that holds restored events asks for it
 *     "restored"         the position up to which an empty log was restored
 *
 * While an empty log is being restored it is closed: readers would take an empty store for the whole. A log that has events stays open.
 */

import { decidePublication } from "../../shared/edge/publication.ts";
import { alreadyStaged } from "../../shared/edge/restore.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { isUuid } from "../../shared/event/commit.ts";
import { markAfter, START_MARK } from "../../shared/mark.ts";
import { toVersion } from "../../shared/order.ts";
import type { Places } from "../../shared/places.ts";
import type { BeginRestore, RestoreFinished, RunningRestore } from "../../shared/wire/restore.ts";
import { idOf, linesOf, runsOf } from "../objects/run-text.ts";
import { COLUMNS, type LogRow } from "./log-rows.ts";
import type { LogRuns } from "./log-runs.ts";

/** Events of one stream on consecutive versions and positions. */
export interface RestoredRun {
  readonly streamId: string;
  readonly firstVersion: number;
  /** As `run-text.ts` makes them. */
  readonly events: string;
}

/** Undefined for a restore that the log does not know. */
export type RestoreState = "running" | "finished" | "abandoned" | undefined;

interface Running extends RunningRestore {
  readonly expectedMark: string;
  /** The mark of the file at `position`. */
  readonly mark: string;
  readonly wasEmpty: boolean;
  /** Events that the log had already, at other positions than the file; undefined in a restore that an earlier version began. */
  readonly elsewhere?: number;
}

/** How far the file is staged. */
type StagedEnd = Required<Pick<Running, "position" | "mark" | "elsewhere">>;

type Ended = ({ readonly state: "finished" } & Pick<RestoreFinished, "restored" | "moved">) | { readonly state: "abandoned" };

const RUNNING = "restore";
const RESTORED = "restored";
const endedKey = (id: string) => `restore/${id}`;

export class LogRestore {
  readonly #storage: DurableObjectStorage;
  readonly #runs: LogRuns;
  #running: Running | undefined;
  #restored: number;

  constructor(storage: DurableObjectStorage, runs: LogRuns) {
    this.#storage = storage;
    this.#runs = runs;
    this.#running = storage.kv.get<Running>(RUNNING);
    this.#restored = storage.kv.get<number>(RESTORED) ?? 0;
  }

  get running(): RunningRestore | null {
    if (this.#running === undefined) return null;
    const { id, file, events, position } = this.#running;
    return { id, file, events, position };
  }

  /** Whether readers and publications have to wait. */
  get isClosed(): boolean {
    return this.#running?.wasEmpty === true;
  }

  /** The position up to which the log was restored while it was empty; 0 if it was not. */
  get restoredUpTo(): number {
    return this.#restored;
  }

  stateOf(id: string): RestoreState {
    return this.#running?.id === id ? "running" : this.#endedOf(id)?.state;
  }

  #endedOf(id: string): Ended | undefined {
    return isUuid(id) ? this.#storage.kv.get<Ended>(endedKey(id)) : undefined;
  }

  /** @throws InvalidRequestError if another file is being restored */
  begin({ file, events, mark }: BeginRestore): RunningRestore {
    const { running } = this;
    if (running?.file === file) return running;
    if (running !== null) {
      throw new InvalidRequestError(
        `The store is being restored from another file, and has ${running.position} of its ${running.events} events: continue with that file, or abandon the restore.`,
        { field: "file" },
      );
    }
    const wasEmpty = this.#runs.head === 0;
    this.#transaction(() => {
      const { sql } = this.#storage;
      // A table that is renamed keeps its index, and an index can't be renamed.
      if (wasEmpty) sql.exec("DROP INDEX runs_by_stream");
      sql.exec(`CREATE TABLE staged (${COLUMNS})`);
      sql.exec(`CREATE UNIQUE INDEX ${wasEmpty ? "runs_by_stream" : "staged_by_stream"} ON staged (stream_id, last_version)`);
      this.#write({ id: crypto.randomUUID(), file, events, expectedMark: mark, mark: START_MARK, position: 0, wasEmpty });
    });
    return this.running as RunningRestore;
  }

  /**
   * Stages runs that follow one another in the file. What is staged already is left out.
   *
   * @param position of the first event
   * @returns the position up to which the file is staged: the next part begins after it
   * @throws InvalidRequestError if a run does not continue its stream
   */
  stage(id: string, position: number, runs: readonly RestoredRun[]): { readonly position: number } {
    const running = this.#known(id);
    const counts = runs.map(({ events }) => linesOf(events).length);
    const left = alreadyStaged(
      running.position,
      position,
      counts.reduce((sum, count) => sum + count, 0),
    );
    if (left === undefined) return { position: running.position };
    this.#transaction(() => {
      let skip = left;
      let at = { position: running.position, mark: running.mark, elsewhere: running.elsewhere ?? 0 };
      for (const { streamId, firstVersion, events } of runs) {
        const lines = linesOf(events);
        const skipped = Math.min(skip, lines.length);
        skip -= skipped;
        if (skipped < lines.length) at = this.#stageRun(streamId, firstVersion + skipped, lines.slice(skipped), at);
      }
      if (at.position > running.events) throw new InvalidRequestError("The file has fewer events than were sent.", { field: "runs" });
      this.#write({ ...running, ...at });
    });
    return { position: this.#known(id).position };
  }

  #stageRun(streamId: string, firstVersion: number, lines: readonly string[], before: StagedEnd): StagedEnd {
    const last = { position: before.position + lines.length, version: firstVersion + lines.length - 1 };
    const logged = this.#runs.headOf(streamId);
    const elsewhere = this.#elsewhere(streamId, { first: firstVersion, last: Math.min(last.version, logged) }, before.position + 1);
    const after = { position: last.position, mark: markAfter(before.mark, lines.map(idOf)), elsewhere: before.elsewhere + elsewhere };
    const head = Math.max(logged, this.#stagedHeadOf(streamId));
    const decision = decidePublication(toVersion(head), { firstVersion: toVersion(firstVersion), lastVersion: toVersion(last.version) });
    if (decision.kind === "gap") {
      throw new InvalidRequestError(`${streamId}@${firstVersion} does not follow ${streamId}@${head}, which the log has.`, {
        field: "runs",
      });
    }
    if (decision.kind !== "take") return after;
    for (const run of runsOf(lines.slice(decision.from - firstVersion), decision.from)) {
      const end = last.position - (last.version - run.lastVersion);
      const mark = markAfter(before.mark, lines.slice(0, run.lastVersion - firstVersion + 1).map(idOf));
      const row = [end, streamId, run.firstVersion, run.lastVersion, run.events, mark];
      this.#storage.sql.exec("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", ...row);
    }
    return after;
  }

  /** How many of a stream's versions the log has at other positions than in a file. @param position of the first version in the file */
  #elsewhere(streamId: string, { first, last }: Places, position: number): number {
    let count = 0;
    for (const { firstVersion, lastVersion, firstPosition } of first > last ? [] : this.#runs.spansOf(streamId, first, last)) {
      const own = Math.min(lastVersion, last) - Math.max(firstVersion, first) + 1;
      if (firstPosition - firstVersion !== position - first) count += own;
    }
    return count;
  }

  #stagedHeadOf(streamId: string): number {
    const query = "SELECT last_version FROM staged WHERE stream_id = ? ORDER BY last_version DESC LIMIT 1";
    return this.#storage.sql.exec<{ last_version: number }>(query, streamId).toArray()[0]?.last_version ?? 0;
  }

  /**
   * Makes all restored events visible.
   *
   * @param enroll called in the same transaction, when the log has them
   * @throws InvalidRequestError if events of the file are missing, or are others than the file has
   */
  finish(id: string, enroll: () => void): RestoreFinished {
    const ended = this.#endedOf(id);
    if (ended?.state === "finished") return this.#finished(ended);
    const running = this.#known(id);
    if (running.position < running.events) {
      const detail = `The log has ${running.position} of the ${running.events} events of the file: send the others first.`;
      throw new InvalidRequestError(detail, { field: "restore" });
    }
    if (running.mark !== running.expectedMark)
      throw new InvalidRequestError("The events that were sent are not those of the file.", { field: "restore" });
    return this.#transaction(() => {
      const { sql, kv } = this.#storage;
      const end = running.wasEmpty ? { restored: running.events, moved: 0 } : this.#addStaged(running.elsewhere ?? 0);
      if (running.wasEmpty) {
        sql.exec("DROP TABLE runs");
        sql.exec("ALTER TABLE staged RENAME TO runs");
        this.#runs.readEnd();
        kv.put(RESTORED, running.events);
        this.#restored = running.events;
      } else {
        sql.exec("DROP TABLE staged");
      }
      this.#end(running, { state: "finished", ...end });
      enroll();
      return this.#finished(end);
    });
  }

  /** Adds what the log lacks after its head. Meanwhile a stream may have published what it had before the restore. */
  #addStaged(elsewhere: number): { restored: number; moved: number } {
    const query = "SELECT * FROM staged WHERE last_position > ? ORDER BY last_position LIMIT 1";
    let restored = 0;
    let moved = elsewhere;
    const next = (position: number) => this.#storage.sql.exec<LogRow>(query, position).toArray()[0];
    for (let row = next(0); row !== undefined; row = next(row.last_position)) {
      const { stream_id: streamId, first_version: firstVersion, last_version: lastVersion } = row;
      const run = { firstVersion: toVersion(firstVersion), lastVersion: toVersion(lastVersion) };
      const logged = this.#runs.headOf(streamId);
      const decision = decidePublication(toVersion(logged), run);
      // The stream has published it since it was staged.
      const firstStaged = row.last_position - (lastVersion - firstVersion);
      moved += this.#elsewhere(streamId, { first: firstVersion, last: Math.min(lastVersion, logged) }, firstStaged);
      if (decision.kind !== "take") continue;
      const taken = linesOf(row.events).slice(decision.from - firstVersion);
      const { firstPosition } = this.#runs.add(streamId, decision.from, taken);
      restored += taken.length;
      if (firstPosition !== row.last_position - taken.length + 1) moved += taken.length;
    }
    return { restored, moved };
  }

  abandon(id: string): void {
    if (this.stateOf(id) === "abandoned") return;
    const running = this.#known(id);
    this.#transaction(() => {
      this.#storage.sql.exec("DROP TABLE staged");
      if (running.wasEmpty) this.#storage.sql.exec("CREATE UNIQUE INDEX runs_by_stream ON runs (stream_id, last_version)");
      this.#end(running, { state: "abandoned" });
    });
  }

  #finished({ restored, moved }: Pick<RestoreFinished, "restored" | "moved">): RestoreFinished {
    return { log: this.#runs.log, head: this.#runs.head, restored, moved };
  }

  #known(id: string): Running {
    if (this.#running?.id === id) return this.#running;
    throw new InvalidRequestError("No restore of this id is under way: begin one.", { field: "restore" });
  }

  #write(running: Running): void {
    this.#storage.kv.put(RUNNING, running);
    this.#running = running;
  }

  #end({ id }: Running, ended: Ended): void {
    this.#storage.kv.put(endedKey(id), ended);
    this.#storage.kv.delete(RUNNING);
    this.#running = undefined;
  }

  #transaction<T>(work: () => T): T {
    const before = { running: this.#running, restored: this.#restored };
    try {
      return this.#runs.transaction(work);
    } catch (error) {
      this.#running = before.running;
      this.#restored = before.restored;
      throw error;
    }
  }
}
