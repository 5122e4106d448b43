/**
 * The log of one store: assigns positions when it inserts runs, and serves the feed. `log-runs.ts` stores the runs.
 *
 *     stream, push ── publish ──► decide ──► insert runs, arm alarm  (one transaction) ──► feed sockets ──► pages
 *                                                                           └──► subscriptions are notified (`notifier.ts`)
 */
import { storeDeleted } from "../../shared/edge/deletion.ts";
import { EVERYTHING, type Reach } from "../../shared/edge/grants.ts";
import { beingRestored } from "../../shared/edge/restore.ts";
import { LogMismatchError, PositionAheadError } from "../../shared/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../shared/limits.ts";
import type { StoreDeletion } from "../../shared/wire/deletion.ts";
import type { IndexedStreams, ReconciledLog } from "../../shared/wire/reconcile.ts";
import type { BeginRestore, RestoreFinished, RestoreStatus, RunningRestore } from "../../shared/wire/restore.ts";
import type { StoreHealth, StreamList } from "../../shared/wire/wire.ts";
import { type Authenticate, authenticateBySettings } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { now } from "../objects/platform.ts";
import { type Refused, refusable, refusableLater, toRefused, unwrap } from "../objects/refused.ts";
import { linesOf, parseLine } from "../objects/run-text.ts";
import { SharedAlarm } from "../objects/shared-alarm.ts";
import type { StoredLines } from "../objects/stored-lines.ts";
import { logFault } from "../report/journal.ts";
import { problemResponse } from "../report/problem.ts";
import { DivergedStreams } from "./diverged-streams.ts";
import { type CompleteQuery, pageOf, searchFeed } from "./feed-page.ts";
import { sessionOf } from "./feed-session.ts";
import { CHECK_EVERY, FeedSockets } from "./feed-sockets.ts";
import { IndexObject } from "./index-object.ts";
import { LogDeletion } from "./log-deletion.ts";
import { LogReconcile } from "./log-reconcile.ts";
import { LogRestore, type RestoredRun, type RestoreState } from "./log-restore.ts";
import { LogRuns } from "./log-runs.ts";
import { MatchMemory } from "./match-memory.ts";
import { type Origin, Subscribers } from "./notifier.ts";
import type { Followed, PublicationAnswer, Published, PublishedRun } from "./publication.ts";
import { ReadTurns } from "./read-turns.ts";
import { takeRun } from "./run-taker.ts";
import { StreamIndexing } from "./stream-indexing.ts";
import { type ListQuery, streamList } from "./stream-list.ts";
import { WaitingStreams } from "./waiting-streams.ts";

/** The settings of an edge that its logs need. */
export interface LogSettings<E extends EdgeEnv> {
  readonly authenticate: Authenticate<E>;
  readonly limits: Limits;
  readonly checkEvery: number;
  /** Names of the edge's subscriptions. */
  readonly subscriptions: readonly string[];
}

export class LogObject<E extends EdgeEnv = EdgeEnv> extends IndexObject<E> {
  readonly #runs: LogRuns;
  readonly #restore: LogRestore;
  readonly #deletion: LogDeletion;
  readonly #waiting = new WaitingStreams();
  /** Tells the index, which is an object of its own. */
  readonly #indexing: StreamIndexing;

  readonly #memory = new MatchMemory();
  readonly #turns: ReadTurns;
  readonly #diverged: DivergedStreams;
  readonly #alarm: SharedAlarm;
  readonly #sockets: FeedSockets;
  /** Undefined if the edge has no subscriptions, or if the store is deleted. */
  #subscribers: Subscribers | undefined;

  constructor(state: DurableObjectState, env: E) {
    super(state, env);
    this.#runs = new LogRuns(state.storage);
    this.#turns = new ReadTurns(state);
    this.#restore = new LogRestore(state.storage, this.#runs);
    this.#diverged = new DivergedStreams(state.storage);
    this.#alarm = new SharedAlarm(state.storage);
    const onBegun = () => {
      this.#subscribers = undefined;
      this.#sockets.closeAll(storeDeleted());
    };
    this.#indexing = new StreamIndexing({ state, env, alarm: this.#alarm, runs: this.#runs });
    this.#deletion = new LogDeletion({ state, env, alarm: this.#alarm, runs: this.#runs, indexing: this.#indexing, onBegun });
    const isDeleted = this.#deletion.refused !== undefined;
    const { limits, checkEvery, subscriptions: names } = this.settings();
    this.#sockets = new FeedSockets(state, this.#alarm, {
      authenticate: async (request) => this.settings().authenticate(request, env),
      check: (query) => this.#checkQuery(query),
      search: (query, reach) => searchFeed(this.#runs, query, reach, this.#memory),
      rowsAfter: (position) => this.#runs.rowsAfter(position),
      turns: this.#turns,
      toPage: (found) => pageOf(this.#runs, found),
      head: () => this.#runs.head,
      log: this.#runs.log,
      limits,
      checkEvery,
    });
    const end = {
      log: this.#runs.log,
      head: () => this.#runs.head,
      mark: () => this.#runs.mark,
      restoredUpTo: () => this.#restore.restoredUpTo,
    };
    this.#subscribers = names.length === 0 || isDeleted ? undefined : new Subscribers({ state, env, alarm: this.#alarm, names, ...end });
    state.blockConcurrencyWhile(async () => {
      await this.#alarm.load(now(state));
      this.#subscribers?.woke(state.id.name);
      if (!isDeleted) this.#indexing.woke(state.id.name);
      this.#deletion.woke();
    });
    // Readers whose pull was open when the object went away may have missed news.
    if (isDeleted) this.#sockets.closeAll(storeDeleted());
    else this.#sockets.deliver();
  }

  /** @internal The settings of the log's edge; `createEdge` makes a class that returns its own. */
  protected settings(): LogSettings<E> {
    return { authenticate: authenticateBySettings, limits: DEFAULT_LIMITS, checkEvery: CHECK_EVERY, subscriptions: [] };
  }

  /** Opens a feed socket. The Worker has authenticated the caller, and sends the session. */
  override async fetch(request: Request): Promise<Response> {
    try {
      this.#deletion.assertPresent();
      return await this.#sockets.accept(sessionOf(request));
    } catch (error) {
      return problemResponse(error);
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#sockets.onMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#sockets.forget(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#sockets.forget(socket);
  }

  override async alarm(): Promise<void> {
    this.#alarm.wentOff();
    if (this.#deletion.refused !== undefined) return this.#deletion.onAlarm();
    this.#sockets.onAlarm();
    await Promise.all([this.#subscribers?.onAlarm(), this.#indexing.onAlarm()]);
  }

  /**
   * @internal
   * Takes runs of any number of streams in one transaction. Sending a run again is always safe.
   *
   * @param store the log's. Default: the object's own name
   * @throws UnavailableError while the log is being restored: the stream keeps its events, and tries again later
   */
  publish(runs: readonly PublishedRun[], store = this.ctx.id.name): Published {
    const { refused } = this.#deletion.refused ?? {};
    if (refused !== undefined) return { log: this.#runs.log, answers: [], refused };
    if (this.#restore.isClosed) throw beingRestored();
    const before = this.#runs.head;
    try {
      const taken = this.#runs.transaction(() => {
        this.#subscribers?.enroll(store);
        return runs.map((run) => takeRun(this.#runs, run, this.#diverged.at(run.streamId), now(this.ctx)));
      });
      const answers = taken.map(({ answer }) => answer);
      for (const [i, run] of runs.entries()) this.#note(store, run, answers[i]);
      if (this.#runs.head > before) {
        this.#onGrown();
        if (store !== undefined) this.#indexing.grown(store);
      }
      const refilled = taken.reduce((sum, { refilled: count }) => sum + count, 0);
      if (refilled > 0) this.#onRefilled(store, refilled);
      return { log: this.#runs.log, answers };
    } catch (error) {
      this.#subscribers?.reload();
      for (const run of runs) this.#note(store, run);
      throw error;
    }
  }

  /** To be called in the turn of the write, so that the alarm is part of it. */
  #onGrown(): void {
    this.#turns.onWritten();
    this.#sockets.deliver();
    this.#subscribers?.published();
  }

  /** Notes whether the stream has more than the log, or other events. @param answer left out if the run could not be written */
  #note(store: string | undefined, { streamId, streamVersion, events }: PublishedRun, answer?: PublicationAnswer): void {
    if (answer?.kind === "diverged") return this.#noteDiverged(store, streamId, answer.version);
    // What differed was compared again: the decision takes nothing behind it otherwise.
    if (answer?.kind === "published" && (answer.head ?? 0) <= streamVersion) this.#diverged.delete(streamId);
    if (answer?.kind === "published" && (answer.spans.at(-1)?.lastVersion ?? 0) >= streamVersion) {
      this.#waiting.delete(streamId);
      return;
    }
    const { recordedAt } = parseLine(linesOf(events)[0] ?? "");
    this.#waiting.add(streamId, streamVersion, Date.parse(recordedAt ?? ""));
  }

  #noteDiverged(store: string | undefined, streamId: string, version: number): void {
    // Its events are not on their way into the log.
    this.#waiting.delete(streamId);
    if (!this.#diverged.add(streamId, version)) return;
    logFault("diverged", new Error("A stream and the log hold different events. The stream takes no appends."), {
      store,
      streamId,
      version,
    });
  }

  /** @internal A stream that may not have compared all reports where it and the log differ; or, without a version, that they agree. */
  reportDiverged(streamId: string, version: number | null, store = this.ctx.id.name): { readonly log: string } {
    if (this.#deletion.refused !== undefined) return { log: this.#runs.log };
    if (version === null) this.#diverged.delete(streamId);
    else this.#noteDiverged(store, streamId, Math.min(version, this.#diverged.at(streamId) ?? version));
    return { log: this.#runs.log };
  }

  /** Of rows that were lost, which came back: what readers did not get there, they get now. */
  #onRefilled(store: string | undefined, count: number): void {
    this.#memory.forget();
    this.#sockets.deliver();
    if (store !== undefined) this.#indexing.restart(store);
    const error = new Error("Rows of the log were lost, and their stream published the events again: they have their positions back.");
    logFault("refilled", error, { store, events: count });
  }

  /** Why nobody gets anything of the store: it is deleted, or being restored while it is empty. */
  get #closed(): Refused | undefined {
    return this.#deletion.refused ?? (this.#restore.isClosed ? toRefused(beingRestored()) : undefined);
  }

  /** @internal What a subscription needs to know of the store, once the log has enrolled it; null if it is not configured. */
  originOf(store: string, name: string): Origin | Refused | null {
    const refused = this.#closed;
    if (refused !== undefined) return refused;
    this.#subscribers?.enroll(store);
    return this.#subscribers?.originOf(name) ?? null;
  }

  /** @internal Where a stream's versions from `from` to `to` are, as far as the log has these events; and where its last one is. */
  positionsOf(streamId: string, from: number, to = Number.MAX_SAFE_INTEGER): ReturnType<LogRuns["spansOf"]> | Refused {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    const end = (this.#diverged.at(streamId) ?? Number.MAX_SAFE_INTEGER) - 1;
    return this.#runs.spansWithLast(streamId, from, to, end);
  }

  /** @internal The stream's last version in the log, whether or not the stream has the same events; 0 if there is none. */
  headOf(streamId: string): { readonly head: number } & Partial<Refused> {
    return { head: this.#runs.headOf(streamId), ...this.#deletion.refused };
  }

  /** @internal The lines of a stream's versions from `from` on, as the log has them. */
  linesOf(streamId: string, from: number): StoredLines | Refused {
    return this.#deletion.refused ?? this.#runs.storedLinesOf(streamId, from);
  }

  /**
   * @internal Repairs a portion of the log after a position.
   *
   * @param dryRun finds out what it would repair
   * @param accept the log as it is then counts from now on, also if it once had another history
   * @param given events of a backup, from the position behind `after` on
   */
  reconcile(
    store: string,
    after: number,
    dryRun: boolean,
    accept = false,
    given: readonly RestoredRun[] = [],
  ): Promise<ReconciledLog | Refused> {
    return refusableLater(async () => {
      unwrap(this.#refusal({ position: after }) ?? {});
      const reconciled = await new LogReconcile(this.env, store, this.#runs, this.#memory).portion(after, dryRun, given);
      this.#deletion.assertPresent();
      if (!dryRun) this.#diverged.retain((streamId) => this.#runs.headOf(streamId) > 0);
      // The index may have been lost, too.
      if (after === 0 && !dryRun) this.#indexing.restart(store);
      if (accept && !dryRun) await this.#indexing.accept(store);
      this.#sockets.deliver();
      return reconciled;
    });
  }

  /** @internal Streams that the index knows, by their ids. The log may have lost some. */
  indexedStreams(store: string, after: string, limit: number): Promise<IndexedStreams | Refused> {
    return refusableLater(async () => {
      this.#deletion.assertPresent();
      return this.#indexing.list(store, after, limit);
    });
  }

  /** @internal The log's id, if it is the log that is followed, with the same history. */
  follow(followed: Followed): { readonly log: string } | Refused {
    return refusable(() => this.#refusal(followed) ?? { log: this.#runs.log });
  }

  #refusal({ log = this.#runs.log, position = 0, mark }: Followed): Refused | undefined {
    const refused = this.#closed;
    if (refused !== undefined) return refused;
    const facts = { log: this.#runs.log, head: this.#runs.head };
    if (log !== this.#runs.log) return toRefused(new LogMismatchError(undefined, facts));
    if (position > this.#runs.head) return toRefused(new PositionAheadError(undefined, facts));
    if (mark === undefined || mark === this.#runs.markAt(position)) return undefined;
    const detail = `The log has another history up to position ${position} than yours: an older copy was restored. Follow it again from 0.`;
    return toRefused(new LogMismatchError(detail, facts));
  }

  /** @internal A page of the feed as JSON. It has the events in reach, and skips the rest. */
  readPage(query: CompleteQuery, reach: Reach): Promise<{ readonly page: string } | Refused> {
    return refusableLater(async () => {
      unwrap(this.#checkQuery(query) ?? {});
      const search = () => searchFeed(this.#runs, query, reach, this.#memory);
      const found = await this.#deletion.whilePresent(this.#turns.answer(query.after, search));
      return { page: pageOf(this.#runs, found) };
    });
  }

  /** @internal For a Worker of a version without grants of streams, which checks access itself: docs/decisions/0014-version-skew.md. */
  async read(query: CompleteQuery, reach = EVERYTHING): ReturnType<LogObject["readPage"]> {
    return this.readPage(query, reach);
  }

  #checkQuery({ log, after, seen = after, mark }: CompleteQuery): Refused | undefined {
    return this.#refusal({ log, position: after }) ?? this.#refusal({ log, position: seen, mark });
  }

  /** @internal The streams in reach, in the order of their ids. */
  listStreams(query: ListQuery, reach: Reach): StreamList | Refused {
    return this.#closed ?? streamList(this.#runs, query, reach);
  }

  /** @internal For the same Workers as `read`. */
  streams(query: ListQuery, reach = EVERYTHING): ReturnType<LogObject["listStreams"]> {
    return this.listStreams(query, reach);
  }

  /** @internal @param store the log's. Default: the object's own name */
  async health(store = this.ctx.id.name): Promise<StoreHealth | Refused> {
    if (store !== undefined && this.#closed === undefined) await this.#indexing.settle(store);
    const refused = this.#closed;
    if (refused !== undefined) return refused;
    const waiting = this.#waiting.counts((streamId) => this.#runs.headOf(streamId), now(this.ctx));
    const { log, head } = this.#runs;
    const { lost } = this.#indexing;
    const counts = { log, head, streams: this.#indexing.countStreams(), events: head, ...waiting, diverged: this.#diverged.count };
    return lost === undefined ? counts : { ...counts, lostHistory: lost };
  }

  /** @internal The restore under way. */
  restoreStatus(): RestoreStatus | Refused {
    return this.#deletion.refused ?? { restore: this.#restore.running };
  }

  /** @internal What became of a restore: a stream asks before it shows what it restored. */
  restoreState(id: string): { readonly state: RestoreState } & Partial<Refused> {
    return { state: this.#restore.stateOf(id), ...this.#deletion.refused };
  }

  /** @internal */
  beginRestore(request: BeginRestore): RunningRestore | Refused {
    return this.#deletion.refused ?? refusable(() => this.#restore.begin(request));
  }

  /** @internal */
  stageRestore(id: string, position: number, runs: readonly RestoredRun[]): { readonly position: number } | Refused {
    return this.#deletion.refused ?? refusable(() => this.#restore.stage(id, position, runs));
  }

  /** @internal Readers, feed sockets and subscriptions get to know the restored events together. */
  finishRestore(id: string, store: string): RestoreFinished | Refused {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    try {
      return refusable(() => {
        const before = this.#runs.head;
        const finished = this.#restore.finish(id, () => this.#subscribers?.enroll(store));
        if (this.#runs.head > before) this.#onGrown();
        this.#indexing.grown(store);
        return finished;
      });
    } catch (error) {
      this.#subscribers?.reload();
      throw error;
    }
  }

  /** @internal */
  abandonRestore(id: string): { readonly refused?: never } | Refused {
    if (this.#deletion.refused !== undefined) return this.#deletion.refused;
    return refusable(() => {
      this.#restore.abandon(id);
      return {};
    });
  }

  /** @internal Deletes a portion of the store: `LogDeletion`. @param log the log's id, as the request names it */
  deleteStore(store: string, log: string | undefined, isDry: boolean): Promise<StoreDeletion | Refused> {
    return refusableLater(() => this.#deletion.run(store, log, isDry));
  }
}
