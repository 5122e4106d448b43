/**
 * One stream, and its only writer.
 *
 *     commit ──► decide ──► write run, arm alarm  (one transaction) ──► publish to the log ──► receipt with position
 *                                                                           │ log unreachable
 *                                                                           └──► receipt without position; the alarm publishes
 *
 * Everything in memory can be rebuilt: ids and version from the runs, positions from the log, and how far the log has the stream from
 * the log's own answers (`publisher.ts`).
 */
import { DecisionFault } from "../../shared/edge/decision.ts";
import { divergedError } from "../../shared/edge/publication.ts";
import { StorageDamagedError, StoreFullError, StreamNotFoundError, UnavailableError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import { exactVersion } from "../../shared/expected-version.ts";
import { DEFAULT_LIMITS } from "../../shared/limits.ts";
import type { Places } from "../../shared/places.ts";
import type { ReconciledStream } from "../../shared/wire/reconcile.ts";
import type { RestoredStream } from "../../shared/wire/restore.ts";
import type { PushResult } from "../../shared/wire/wire.ts";
import type { EdgeEnv } from "../env.ts";
import type { PublicationAnswer, PublishedRun } from "../log/publication.ts";
import { DurableObject, now } from "../objects/platform.ts";
import { type Refused, refusableLater, toRefused } from "../objects/refused.ts";
import { fitting, parseContent, toWire } from "../objects/run-text.ts";
import type { StoredLines } from "../objects/stored-lines.ts";
import { logFault } from "../report/journal.ts";
import { isFull } from "../report/platform-error.ts";
import { Appending } from "./appending.ts";
import { KnownIds } from "./known-ids.ts";
import { Publisher } from "./publisher.ts";
import { Refusals } from "./refusals.ts";
import { StreamDecider, type StreamRules } from "./stream-decider.ts";
import { StreamDeletion } from "./stream-deletion.ts";
import { partsOf } from "./stream-name.ts";
import { type ReconcileRequest, StreamReconcile } from "./stream-reconcile.ts";
import { type RestoredPart, StreamRestore } from "./stream-restore.ts";
import { type StoredRun, StreamRuns } from "./stream-runs.ts";

/** A result whose position may be null until it is known. The types of a call between objects can't go as deep as JSON does. */
export type CommitResult = Shallow<PushResult>;
type Shallow<T> = T extends unknown
  ? { readonly [K in keyof T]: K extends "decided" ? readonly object[] : K extends "data" ? object | null : T[K] }
  : never;

export interface AppendOutcome {
  /** One for each commit, in order. */
  readonly results: readonly CommitResult[];
  /** What the caller is to publish; null if the stream publishes itself. */
  readonly run: PublishedRun | null;
  /** Reports the log's answer to `run` to the stream, so that its alarm need not query the log; null if the publication failed. */
  readonly published: (answer: PublicationAnswer | null) => Promise<void>;
}

export interface StreamQuery {
  readonly from: number | undefined;
  readonly limit: number;
  readonly direction: "forwards" | "backwards";
  /** Leaves out what is damaged. Otherwise a page that would begin with it fails. */
  readonly damaged?: "skip" | undefined;
}

const NO_RULES: StreamRules = { deciders: new Map(), eventTypes: undefined, limits: DEFAULT_LIMITS };

/** How long an append waits for its position, in milliseconds. */
const POSITION_WAIT = 500;
/** Characters of a page. An answer of an object has at most 32 MiB. */
const PAGE_SIZE = 4 * 1024 * 1024;

export class StreamObject extends DurableObject<EdgeEnv> {
  readonly #runs: StreamRuns;
  /** Built at the first append after a wake. */
  #ids: KnownIds | undefined;
  readonly #decider: StreamDecider;
  readonly #refusals: Refusals;
  readonly #publisher: Publisher;
  readonly #restore: StreamRestore;
  readonly #reconcile: StreamReconcile;
  readonly #deletion: StreamDeletion;
  /** Up to this version, whoever appended the events may have a receipt. */
  #answered: number;

  constructor(state: DurableObjectState, env: EdgeEnv) {
    super(state, env);
    this.#runs = new StreamRuns(state.storage);
    this.#deletion = new StreamDeletion(state.storage, this.#runs);
    this.#answered = this.#version;
    this.#publisher = new Publisher(state, env, this.#runs, (published) => this.#onDeleted(published));
    this.#decider = new StreamDecider(state.storage, this.#runs, this.rules());
    this.#refusals = new Refusals(state.storage);
    const onShown = () => {
      this.#rebuild();
      this.#publisher.restored();
    };
    this.#restore = new StreamRestore(env, this.#runs, onShown, () => this.#deletion.erase());
    this.#reconcile = new StreamReconcile(env, this.#runs, this.#publisher, () => this.#rebuild());
    state.blockConcurrencyWhile(() => this.#publisher.wake());
  }

  /** @internal What `createEdge` was told. */
  protected rules(): StreamRules {
    return NO_RULES;
  }

  get #version(): number {
    return this.#runs.version;
  }

  /** Other events may have taken the place of some. */
  #rebuild(): void {
    this.#ids = undefined;
    this.#decider.begin();
  }

  /**
   * @internal
   * The same as `append`, for commits with commands that the edge decides. An object of an earlier version would record them undecided, so it
   * must not understand the call.
   */
  decide(
    name: string,
    commits: readonly Commit[],
    actor: string | null,
    publishedBy: "stream" | "caller",
  ): Promise<AppendOutcome | Refused> {
    return this.#take(name, commits, actor, publishedBy, true);
  }

  /**
   * @internal
   * Appends commits in order. The ones after a rejected one are skipped.
   *
   * @param name `store/streamId`
   */
  async append(
    name: string,
    commits: readonly Commit[],
    actor: string | null,
    publishedBy: "stream" | "caller",
  ): Promise<AppendOutcome | Refused> {
    return this.#take(name, commits, actor, publishedBy, false);
  }

  async #take(
    name: string,
    commits: readonly Commit[],
    actor: string | null,
    publishedBy: "stream" | "caller",
    mustDecide: boolean,
  ): Promise<AppendOutcome | Refused> {
    this.#runs.setName(name);
    if (this.#restore.isOpen) {
      const refused = await this.#restore.settle();
      if (refused !== undefined) return refused;
    }
    // It may have been repaired meanwhile.
    if (this.#publisher.divergedAt !== undefined) await this.#publisher.compare(name);
    // Nothing is awaited from here to the write.
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    if (this.#publisher.divergedAt !== undefined) return toRefused(divergedError(partsOf(name).streamId, this.#publisher.divergedAt));
    let results: CommitResult[];
    try {
      results = this.#commit(name, commits, actor, mustDecide);
    } catch (error) {
      // All writes are rolled back; what is in memory may be ahead of them.
      this.#ids = undefined;
      this.#runs.reread();
      this.#decider.forget();
      this.#refusals.forget();
      if (isFull(error)) return toRefused(new StoreFullError());
      if (error instanceof DecisionFault) return toRefused(undecidable(name, error));
      if (error instanceof StorageDamagedError) return toRefused(error);
      throw error;
    }
    const run = publishedBy === "caller" ? this.#publisher.handOver() : null;
    if (run === null) await this.#publisher.within(POSITION_WAIT, this.#version, repeated(results));
    if (results.some((result) => isBehind(result))) await this.#publisher.compare(name);
    // A stream without events does not know whether the store is there.
    else if (results.some(({ status }) => status === "conflict") || this.#version === 0) await this.#publisher.assure(POSITION_WAIT, name);
    // The log has answered the publication with it, or has called meanwhile.
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    if (this.#publisher.divergedAt !== undefined) return toRefused(divergedError(partsOf(name).streamId, this.#publisher.divergedAt));
    this.#answered = this.#version;
    return {
      results: this.#withPositions(results),
      run,
      published: async (answer) => {
        if (run !== null) this.#publisher.handedOver(run, answer);
      },
    };
  }

  #commit(name: string, commits: readonly Commit[], actor: string | null, mustDecide: boolean): CommitResult[] {
    this.#ids ??= new KnownIds(this.ctx.storage, this.#runs);
    const ids = this.#ids;
    const host = {
      rules: this.rules(),
      decider: this.#decider,
      ids,
      refusals: this.#refusals,
      version: this.#version,
      eventsOf: (places: Places) => this.#eventsOf(places),
    };
    const appending = new Appending(host, new Date(now(this.ctx)).toISOString(), actor, mustDecide);
    for (const commit of commits) appending.add(commit);
    const { runs, refused, folded, version } = appending;
    this.ctx.storage.transactionSync(() => {
      if (runs.length > 0) {
        this.#runs.add(name, joined(runs));
        ids.save();
      }
      if (folded !== undefined) this.#decider.keep(folded.decider, folded.version, folded.state);
      // Nobody knows of a stream without events: what it notes would stay for ever.
      if (version > 0) for (const { commandId, refusal } of refused) this.#refusals.add(commandId, refusal);
    });
    // There is no await in between, so the alarm is part of the same write as the runs.
    if (runs.length > 0) this.#publisher.arm();
    return appending.results as CommitResult[];
  }

  #eventsOf({ first, last }: Places): readonly EventBody[] {
    const events: EventBody[] = [];
    for (const { firstVersion, lines } of this.#runs.from(first)) {
      if (firstVersion > last) break;
      for (const [i, { content }] of lines.entries()) {
        if (firstVersion + i >= first && firstVersion + i <= last) events.push(parseContent(content));
      }
    }
    return events;
  }

  #withPositions(results: readonly CommitResult[]): CommitResult[] {
    return results.map((result) => (isTaken(result) ? { ...result, position: this.#publisher.positionOf(result.firstVersion) } : result));
  }

  /** @internal A page of the stream as JSON. */
  async read(name: string, query: StreamQuery): Promise<{ readonly page: string } | Refused> {
    this.#runs.setName(name);
    if (this.#restore.isOpen) {
      const refused = await this.#restore.settle();
      // What the stream had before the restore can be read.
      if (refused !== undefined && this.#version === 0) return refused;
    }
    // A stream that has lost everything can't know that it had events. The log does.
    if (this.#version === 0) await this.#publisher.assure(POSITION_WAIT, name);
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    if (this.#version === 0) {
      const at = this.#publisher.divergedAt;
      return toRefused(at === undefined ? new StreamNotFoundError() : divergedError(partsOf(name).streamId, at));
    }
    const upTo = this.#version;
    const backwards = query.direction === "backwards";
    const from = Math.min(query.from ?? (backwards ? upTo : 1), backwards ? upTo : Number.MAX_SAFE_INTEGER);
    const lowest = backwards ? Math.max(1, from - query.limit + 1) : from;
    const highest = backwards ? from : Math.min(upTo, from + query.limit - 1);
    // Waits a moment for positions, but not longer: a read must not depend on the log.
    await this.#publisher.within(POSITION_WAIT, 0, { first: lowest, last: highest });
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    const events: string[] = [];
    let size = 0;
    const { streamId } = partsOf(name);
    const damaged: Places[] = [];
    const onDamaged = (run: Places) => {
      if (run.first <= highest && run.last >= lowest) damaged.push(run);
    };
    for (const { firstVersion, lastVersion, lines } of backwards
      ? this.#runs.downFrom(highest, onDamaged)
      : this.#runs.from(lowest, onDamaged)) {
      // The page ends before what is damaged.
      if (damaged.length > 0 && query.damaged !== "skip") break;
      if (size >= PAGE_SIZE || (backwards ? lastVersion < lowest : firstVersion > highest)) break;
      const numbered = lines.map(({ content }, i) => ({ line: content, version: firstVersion + i }));
      for (const { line, version } of backwards ? numbered.reverse() : numbered) {
        if (version < lowest || version > highest) continue;
        if (size >= PAGE_SIZE) break;
        size += line.length;
        events.push(toWire(line, streamId, version, this.#publisher.positionOf(version)));
      }
    }
    const [firstDamaged] = damaged;
    if (firstDamaged !== undefined && query.damaged !== "skip" && events.length === 0) return toRefused(this.#runs.errorOf(firstDamaged));
    const skipped = firstDamaged === undefined || query.damaged !== "skip" ? "" : `,"damaged":${JSON.stringify(damaged)}`;
    return { page: `{"streamId":"${streamId}","version":${upTo},"events":[${events.join(",")}]${skipped}}` };
  }

  /**
   * @internal
   * Takes a part of a backup while the restore is running, and shows or deletes what it took once the restore has ended.
   *
   * @param name `store/streamId`
   */
  async restore(name: string, state: "running" | "finished" | "abandoned", part: RestoredPart): Promise<RestoredStream | Refused> {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    try {
      this.#restore.end(part.restore, state);
      if (state === "running") return await this.#restore.take(name, part);
      return { status: "stored", streamId: partsOf(name).streamId, version: this.#version };
    } catch (error) {
      if (isFull(error)) return toRefused(new StoreFullError());
      if (error instanceof StorageDamagedError) return toRefused(error);
      throw error;
    }
  }

  /**
   * @internal
   * Compares the stream with the log, and takes from it what is damaged, missing or, if the request allows it, different.
   *
   * @param name `store/streamId`
   */
  async reconcile(name: string, request: ReconcileRequest): Promise<ReconciledStream | Refused> {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    this.#runs.setName(name);
    const refused = this.#restore.isOpen ? await this.#restore.settle() : undefined;
    return refused ?? refusableLater(() => this.#reconcile.run(name, request));
  }

  /** @internal The stream's lines for a log that lacks them. @param name `store/streamId` */
  linesOf(name: string, first: number, last: number): StoredLines | Refused {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    this.#runs.setName(name);
    return this.#reconcile.linesFrom(first, last);
  }

  /** @internal The store is deleted: everything goes but a note. It may be called again. */
  async erase(name: string): Promise<void> {
    this.#runs.setName(name);
    await this.#deletion.erase();
  }

  override async alarm(): Promise<void> {
    if (this.#deletion.refused !== undefined) return;
    await this.#publisher.onAlarm();
  }

  /** @param published the version up to which the log had the stream, as far as is known */
  async #onDeleted(published: number): Promise<void> {
    // Who appended them while the log could not be reached has a receipt without a position.
    if (this.#deletion.refused === undefined && this.#answered > published) {
      const name = this.#runs.name();
      const error = new Error(
        `The store was deleted before its log got the stream's events from version ${published + 1} on. They are gone.`,
      );
      logFault("deleted", error, partsOf(name));
    }
    await this.#deletion.erase();
  }
}

/** Commits that are appended together share runs, if they fit. */
function joined(texts: readonly StoredRun[]): StoredRun[] {
  const runs: StoredRun[] = [];
  for (let left = texts; left.length > 0; ) {
    const together = fitting(left, ({ events }) => events);
    left = left.slice(together.length);
    runs.push({ lastVersion: together.at(-1)?.lastVersion ?? 0, events: together.map(({ events }) => events).join("\n") });
  }
  return runs;
}

/** Whether a writer knows more of the stream than the stream has: it may have been put back to an older copy. */
function isBehind(result: CommitResult): boolean {
  if (result.status !== "conflict") return false;
  const { expectedVersion, actualVersion } = result;
  return expectedVersion === "stream-exists" || (exactVersion(expectedVersion) ?? 0) > actualVersion;
}

/** The versions of commits that were recorded before, from the first to the last. */
function repeated(results: readonly CommitResult[]): Places | undefined {
  const versions = results.flatMap((result) => (isTaken(result) && result.status === "duplicate" ? [result.firstVersion] : []));
  return versions.length === 0 ? undefined : { first: Math.min(...versions), last: Math.max(...versions) };
}

/** Whether a commit has events in the stream: a command may change nothing. */
function isTaken(result: CommitResult): result is Extract<CommitResult, { status: "committed" | "duplicate" }> {
  return (result.status === "committed" || result.status === "duplicate") && result.firstVersion <= result.version;
}

/** An app's decider has failed. The caller learns that, and the log of the Worker has what its code threw. */
function undecidable(name: string, fault: DecisionFault): UnavailableError {
  const { store, streamId } = partsOf(name);
  logFault("decider", fault, { store, streamId });
  return new UnavailableError("The edge can't decide commands of this stream: its log has the reason. Nothing was recorded.", { streamId });
}
