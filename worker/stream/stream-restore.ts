/**
 * A restore, as a stream sees it. What it brings is stored and hidden, until the log says how the restore ended.
 *
 *     part of a backup ──► equal to what the stream has? ── no ──► differs: nothing is written
 *                              └── yes ──► the events after that, hidden ──► the log has finished ──► shown
 *                                                                        └── abandoned ──► deleted
 *
 * A stream that holds hidden events asks the log when it is next read or appended to, if nobody has told it. It deletes them only if the log
 * knows that the restore was abandoned: a log that lost its memory must not cost events.
 */
import { unreachable } from "../../shared/assert.ts";
import { beingRestored, decideRestored } from "../../shared/edge/restore.ts";
import { UnavailableError } from "../../shared/errors.ts";
import type { RecordedContent } from "../../shared/event/recorded.ts";
import type { RestoredStream } from "../../shared/wire/restore.ts";
import type { EdgeEnv } from "../env.ts";
import type { RestoreState } from "../log/log-restore.ts";
import { callObject } from "../objects/calls.ts";
import { type Refused, toRefused } from "../objects/refused.ts";
import { linesOf, parseLine, runsOf } from "../objects/run-text.ts";
import { partsOf } from "./stream-name.ts";
import type { StreamRuns } from "./stream-runs.ts";

/** A part of what a backup has of the stream. */
export interface RestoredPart {
  /** The restore's id. */
  readonly restore: string;
  /** The last version that the backup has of the stream. */
  readonly version: number;
  readonly firstVersion: number;
  /** As `run-text.ts` makes them; empty if the part has no events. */
  readonly events: string;
}

const UNKNOWN =
  "The stream holds events of a restore that the store's log does not know. They are kept and not shown: restore the backup again.";

export class StreamRestore {
  readonly #env: EdgeEnv;
  readonly #runs: StreamRuns;
  readonly #onShown: () => void;
  readonly #onDeleted: () => Promise<void>;

  /**
   * @param onShown called after the stream's version has grown
   * @param onDeleted called if the log answers that the store was deleted
   */
  constructor(env: EdgeEnv, runs: StreamRuns, onShown: () => void, onDeleted: () => Promise<void>) {
    this.#env = env;
    this.#runs = runs;
    this.#onShown = onShown;
    this.#onDeleted = onDeleted;
  }

  /** Whether the stream holds something of a restore whose end it does not know. */
  get isOpen(): boolean {
    return this.#runs.restore !== undefined;
  }

  /**
   * Asks the log how the restore ended. To be called if `isOpen`.
   *
   * @returns the error for a caller that has to wait; undefined if the restore has ended
   */
  async settle(): Promise<Refused | undefined> {
    const note = this.#runs.restore;
    if (note === undefined) return undefined;
    const { store } = partsOf(note.name);
    const { state, refused } = await callObject(
      () => this.#env.LOGS.getByName(store),
      async (log) => log.restoreState(note.id),
    );
    if (refused !== undefined) {
      await this.#onDeleted();
      return { refused };
    }
    this.end(note.id, state);
    if (!this.isOpen) return undefined;
    return toRefused(state === undefined ? new UnavailableError(UNKNOWN) : beingRestored());
  }

  /** Shows or deletes what a restore brought, if it has ended. */
  end(id: string, state: RestoreState): void {
    if (this.#runs.restore?.id !== id || state === "running" || state === undefined) return;
    this.#runs.endRestore(state === "finished" ? "show" : "delete");
    if (state === "finished") this.#onShown();
  }

  /**
   * Takes a part of the backup, as hidden runs. The stream takes no appends from now on, unless it has everything.
   *
   * @param name `store/streamId`
   */
  async take(name: string, { restore, version, firstVersion, events }: RestoredPart): Promise<RestoredStream | Refused> {
    if (this.#runs.restore !== undefined && this.#runs.restore.id !== restore) {
      const refused = await this.settle();
      if (refused !== undefined) return refused;
    }
    const { streamId } = partsOf(name);
    const lines = events === "" ? [] : linesOf(events);
    const before = this.#runs.withHidden;
    const given = lines.map(toContent);
    const decision = decideRestored(
      before,
      firstVersion,
      given,
      this.#stored(firstVersion, Math.min(before, firstVersion + lines.length - 1)),
    );
    switch (decision.kind) {
      case "differs":
        return { status: "differs", streamId, version: decision.version, field: decision.field };
      case "gap":
        return { status: "gap", streamId, version: decision.version };
      case "stored":
        if (before < version && !this.isOpen) this.#runs.hide(restore, name, []);
        return { status: "stored", streamId, version: before };
      case "take": {
        this.#runs.hide(restore, name, runsOf(lines.slice(decision.from - firstVersion), decision.from));
        return { status: "stored", streamId, version: firstVersion + lines.length - 1 };
      }
      default:
        return unreachable(decision);
    }
  }

  #stored(from: number, to: number): RecordedContent[] {
    const stored: RecordedContent[] = [];
    if (to < from) return stored;
    for (const { lastVersion, events } of this.#runs.withHiddenFrom(from)) {
      const lines = linesOf(events);
      const first = lastVersion - lines.length + 1;
      if (first > to) break;
      stored.push(...lines.slice(Math.max(0, from - first), to - first + 1).map(toContent));
    }
    return stored;
  }
}

function toContent(line: string): RecordedContent {
  return parseLine(line) as RecordedContent; // a stored event has been recorded
}
