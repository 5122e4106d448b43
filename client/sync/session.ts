/**
 * A leading tab's sync: it performs the effects of the sync machine (`shared/device/sync.ts`) on the database and the edge, and gives their
 * results back to the machine as inputs.
 */
import type { IDBPDatabase } from "idb";
import type { PendingEntry } from "../../shared/device/outbox.ts";
import { advanceProgress, progressOf, type Run, type SendProgress } from "../../shared/device/progress.ts";
import { isWithin, type Replica } from "../../shared/device/replica.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import {
  advance,
  type LinkStatus,
  linkStatusOf,
  type SyncEffect,
  type SyncInput,
  type SyncSettings,
  type SyncState,
  startSync,
  type Timer,
} from "../../shared/device/sync.ts";
import type { HeadwaterError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { boundedWait } from "../../shared/wait.ts";
import type { Answer } from "../../shared/wire/answer.ts";
import type { FeedPage, PushAnswer } from "../../shared/wire/wire.ts";
import { createEdgeCall, type EdgeCall, type EdgeOptions, pushCommits, readFeed } from "../edge/edge-call.ts";
import { FeedSocket, type Listen } from "../edge/feed-socket.ts";
import type { Database, Schema } from "../storage/database.ts";
import { entriesAfter } from "../storage/outbox.ts";
import { applyPage, Fenced, type OutboxChange, recordRefusals } from "../storage/page.ts";
import { unexpected } from "./unexpected.ts";

export interface SessionContext {
  readonly database: Database;
  readonly edge: Omit<EdgeOptions, "signal">;
  readonly settings: SyncSettings;
  /** How contested commits are resolved, and the durability with which a page is written. */
  readonly rules: () => Promise<{ readonly resolve: Resolve<ConfirmedEvent>; readonly durability: IDBTransactionDurability }>;
  /** Adds streams with pending commits to the scope, whatever the filter. Returns the changed replica. */
  follow(streamIds: readonly string[]): Promise<Replica>;
  /** How many commits are pending, as the status says. */
  pending(): number;
  /** Called after each step of the sync machine. */
  onStep(state: SyncState, status: SessionStatus): void;
  /** Called after sync has changed the database. */
  onWritten(change: OutboxChange, replica?: Replica): void;
  /**
   * Called when calls of `sync()` have ended.
   *
   * @param error why they failed; undefined if they succeeded
   */
  onAnswered(calls: readonly string[], error?: HeadwaterError): void;
}

/** What the leader knows of the connection to the edge. */
export interface SessionStatus extends LinkStatus {
  /** Pending commits that the edge is known to have recorded. */
  readonly acknowledged: number;
  /** How far a long outbox is sent; null if none is. */
  readonly progress: SendProgress | null;
}

/** The feed is polled so many times less often while the tab is hidden, or while the feed socket is open. */
const SELDOM = 12;
/** The outbox is read for so many pushes. From more entries, a push can take more of the few streams that fit into it. */
const PUSHES_AT_ONCE = 4;

export class Session {
  /** True while the feed socket is open, on which the edge notifies of news. */
  isConnected = false;
  readonly #context: SessionContext;
  readonly #term: number;
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  readonly #edge: EdgeCall;
  readonly #ended = Promise.withResolvers<"done" | "fenced">();
  readonly #ending = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** Calls of `sync()` that wait, each with its number in the sync machine. */
  #calls: { readonly number: number; readonly call: string }[] = [];
  #state: SyncState;
  #progress: Run | undefined;
  #feedSocket: FeedSocket | undefined;

  /** @param before the last state of the session before, in this tab */
  constructor(context: SessionContext, term: number, replica: Replica, before?: SyncState) {
    this.#context = context;
    this.#term = term;
    const { edge, settings } = context;
    const { signal } = this.#ending;
    this.#edge = createEdgeCall({ ...edge, signal });
    this.#state = startSync(settings, replica, before);
  }

  /** Starts the session. Resolves when it has ended, and none of its work runs any more. */
  async run(): Promise<"done" | "fenced"> {
    if (this.#context.settings.automatic) this.give({ kind: "woken" });
    const outcome = await this.#ended.promise;
    await Promise.all(this.#underWay);
    return outcome;
  }

  get isDiverged(): boolean {
    return linkStatusOf(this.#state).connection === "diverged";
  }

  give(input: SyncInput): void {
    if (this.#ending.signal.aborted) return;
    const { state, effects } = advance(this.#state, input, Math.random());
    const isBack = this.#state.link.kind !== "open" && state.link.kind === "open";
    this.#state = state;
    if (isBack) this.#feedSocket?.hurry();
    this.show();
    for (const effect of effects) this.#perform(effect);
  }

  onCall(call: string): void {
    if (this.#calls.some((known) => known.call === call)) return;
    this.#calls.push({ number: this.#state.lastCall + 1, call });
    this.give({ kind: "called" });
  }

  /** Reports the current state. */
  show(): void {
    let acknowledged = 0;
    for (const { kind } of this.#state.awaited.values()) if (kind === "taken") acknowledged++;
    const link = linkStatusOf(this.#state);
    this.#progress = advanceProgress(this.#progress, {
      sent: this.#state.sent,
      unsent: Math.max(0, this.#context.pending() - acknowledged),
      isOnline: link.connection === "online" && !this.#ending.signal.aborted,
      now: performance.now(),
    });
    this.#context.onStep(this.#state, { ...link, acknowledged, progress: progressOf(this.#progress) });
  }

  end(outcome: "done" | "fenced"): void {
    this.#ending.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#ended.resolve(outcome);
  }

  #perform(effect: SyncEffect): void {
    switch (effect.kind) {
      case "wait":
        return this.#wait(effect.timer, effect.milliseconds);
      case "settled":
        return this.#answer(effect.upToCall);
      case "failed":
        return this.#answer(effect.upToCall, effect.error);
      case "listen":
        return this.#listen(effect);
      default: {
        const work = this.#input(effect)
          .then((input) => this.give(input))
          .catch((error: unknown) => this.#onBroken(error))
          .finally(() => this.#underWay.delete(work));
        this.#underWay.add(work);
      }
    }
  }

  /** Performs an effect and returns its result as an input. An error is an input too. */
  async #input(effect: Exclude<SyncEffect, { kind: "wait" | "settled" | "failed" | "listen" }>): Promise<SyncInput> {
    const { rules } = this.#context;
    const { request } = effect;
    try {
      switch (effect.kind) {
        case "pull":
          return pulled(request, await readFeed(this.#edge, effect.query));
        case "push":
          return pushed(request, await pushCommits(this.#edge, effect.batch, effect.replica));
        case "apply": {
          const { resolve, durability } = await rules();
          const applied = await this.#write((db) =>
            applyPage(db, effect.page, effect.pageRequest, this.#term, resolve, durability, effect.awaited),
          );
          const { replica } = applied;
          if (applied.kind === "stale") return { kind: "page-stale", request, replica };
          this.#context.onWritten(applied, replica);
          const { left, changed, waiting } = applied;
          return { kind: "page-applied", request, replica, left, changed, waiting };
        }
        case "read-outbox":
          return { kind: "outbox-read", request, ...(await this.#readOutbox(effect.after)) };
        case "record": {
          const change = await this.#write((db) => recordRefusals(db, effect.refused, this.#term));
          this.#context.onWritten(change);
          return { kind: "refusals-recorded", request, left: change.left };
        }
      }
    } catch (error) {
      if (error instanceof Fenced) throw error;
      return { kind: "storage-failed", request, error: unexpected(error) };
    }
  }

  /**
   * If a write was done once more, its first try may have been committed. The machine would wait in vain for what that one has changed: this
   * session ends as if it were fenced, and the next one starts from what is stored.
   */
  async #write<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    const { database } = this.#context;
    const { result, isRepeated } = await database.run(async (db, isRepeated) => ({ result: await work(db), isRepeated }));
    if (isRepeated) throw new Fenced();
    return result;
  }

  async #readOutbox(after: number): Promise<{ unsent: { entry: PendingEntry; size: number }[]; isEnd: boolean }> {
    const { commits, size } = this.#context.settings.push;
    const bounds = { commits: PUSHES_AT_ONCE * commits, size: PUSHES_AT_ONCE * size };
    const unsent = await this.#context.database.run((db) => entriesAfter(db, after, bounds));
    // These streams are outside of the scope: a tab with another filter has appended to them, or the app has rebased a conflict.
    const { scope } = this.#state.replica;
    const strays = unsent.map(({ entry }) => entry.streamId).filter((streamId) => !isWithin(scope, streamId));
    if (strays.length > 0) this.give({ kind: "scope-changed", replica: await this.#context.follow(strays) });
    return { unsent, isEnd: unsent.length === 0 };
  }

  #onBroken(error: unknown): void {
    if (!(error instanceof Fenced)) throw error;
    this.end("fenced");
  }

  onSocket(problem: HeadwaterError | null): void {
    this.give({ kind: "feed-socket", problem });
  }

  /** Waits for news on the feed socket, if there can be one. Without it, the feed is polled. */
  #listen(wanted: Listen): void {
    this.#feedSocket ??= new FeedSocket(this, this.#context.edge, this.#ending.signal);
    this.#feedSocket.listen(wanted);
  }

  #wait(timer: Timer, milliseconds: number): void {
    clearTimeout(this.#timers.get(timer));
    const isSeldom = timer === "poll" && (globalThis.document?.hidden || this.isConnected);
    const wait = setTimeout(() => this.give({ kind: "timer", timer }), boundedWait(isSeldom ? milliseconds * SELDOM : milliseconds));
    this.#timers.set(timer, wait);
  }

  #answer(upTo: number, error?: HeadwaterError): void {
    const answered = this.#calls.filter(({ number }) => number <= upTo);
    this.#calls = this.#calls.filter(({ number }) => number > upTo);
    const calls = answered.map(({ call }) => call);
    this.#context.onAnswered(calls, error);
    if (!this.#context.settings.automatic && this.#calls.length === 0) this.end("done");
  }
}

function pulled(request: number, answer: Answer<FeedPage>): SyncInput {
  return answer.kind === "message"
    ? { kind: "page-received", request, page: answer.message }
    : { kind: "pull-failed", request, failure: answer };
}

function pushed(request: number, answer: Answer<PushAnswer>): SyncInput {
  return answer.kind === "message"
    ? { kind: "push-answered", request, answer: answer.message }
    : { kind: "push-failed", request, failure: answer };
}
