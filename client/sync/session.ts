/** One term of one leader: performs what the machine of `shared/device/sync.ts` asks for, and tells it what came of it. */
import { backoff } from "../../shared/backoff.ts";
import type { PendingEntry } from "../../shared/device/outbox.ts";
import { type History, isWithin } from "../../shared/device/replica.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import {
  advance,
  type SyncEffect,
  type SyncInput,
  type SyncSettings,
  type SyncState,
  startSync,
  type Timer,
} from "../../shared/device/sync.ts";
import { HeadwaterError, StorageFailedError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { match } from "../../shared/wire/shape.ts";
import { feedPage } from "../../shared/wire/wire.ts";
import { createEdgeCall, type EdgeCall, type EdgeOptions, pushCommits, readFeed } from "../edge/edge-call.ts";
import type { Listen, Live } from "../edge/feed-socket.ts";
import type { Database } from "../storage/database.ts";
import { bundlesFrom } from "../storage/device-log.ts";
import { bundleKeyOf, entriesOf } from "../storage/groups.ts";
import { applyPage, Fenced, type OutboxChange, recordRefusals } from "../storage/page.ts";

export interface SessionContext {
  readonly database: Database;
  readonly edge: Omit<EdgeOptions, "signal">;
  readonly settings: SyncSettings;
  /** What becomes of contested commits, and how it is written. */
  readonly rules: () => Promise<{ readonly resolve: Resolve<ConfirmedEvent>; readonly durability: IDBTransactionDurability }>;
  /** Streams with pending commits are followed, whatever the filter. Answers the history as it is then. */
  follow(streamIds: readonly string[]): Promise<History>;
  /** The machine has taken a step. */
  onStep(state: SyncState): void;
  /** The database tells something else than it did. */
  onWritten(change: OutboxChange, history?: History): void;
  /** @param error why they did not get what they asked for; undefined: they did */
  onAnswered(asks: readonly string[], error?: HeadwaterError): void;
}

/** While nobody looks at the page, or the edge tells of news by itself, the feed is asked so many times less often. */
const SELDOM = 12;

export class Session {
  /** The edge would tell of news by itself. */
  isLive = false;
  readonly #context: SessionContext;
  readonly #term: number;
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  readonly #edge: EdgeCall;
  readonly #ended = Promise.withResolvers<"done" | "fenced">();
  readonly #ending = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** Who asked, by the machine's number. */
  #asks: { readonly number: number; readonly ask: string }[] = [];
  #state: SyncState;
  #live: Promise<Live | undefined> | undefined;

  constructor(context: SessionContext, term: number, history: History) {
    this.#context = context;
    this.#term = term;
    const { edge, settings } = context;
    const { signal } = this.#ending;
    this.#edge = createEdgeCall({ ...edge, signal });
    this.#state = startSync(settings, history);
  }

  /** Resolves when it has ended and nothing of it is under way any more. */
  async run(): Promise<"done" | "fenced"> {
    if (this.#context.settings.automatic) this.give({ kind: "woken" });
    const outcome = await this.#ended.promise;
    await Promise.all(this.#underWay);
    return outcome;
  }

  give(input: SyncInput): void {
    if (this.#ending.signal.aborted) return;
    const { state, effects } = advance(this.#state, input, Math.random());
    this.#state = state;
    this.#context.onStep(state);
    for (const effect of effects) this.#perform(effect);
  }

  ask(ask: string): void {
    if (this.#asks.some((known) => known.ask === ask)) return;
    this.#asks.push({ number: this.#state.asked + 1, ask });
    this.give({ kind: "asked" });
  }

  /** Tells once more how it stands. */
  show(): void {
    this.#context.onStep(this.#state);
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
        return this.#answer(effect.asked);
      case "failed":
        return this.#answer(effect.asked, effect.error);
      case "listen":
        return void this.#listen(effect);
      default: {
        const work = this.#input(effect)
          .then((input) => this.give(input))
          .catch((error: unknown) => this.#onBroken(error))
          .finally(() => this.#underWay.delete(work));
        this.#underWay.add(work);
      }
    }
  }

  /** Does what is asked for; what went wrong is an input too. */
  async #input(effect: Exclude<SyncEffect, { kind: "wait" | "settled" | "failed" | "listen" }>): Promise<SyncInput> {
    const { database, rules } = this.#context;
    const { request } = effect;
    try {
      switch (effect.kind) {
        case "pull":
          return { kind: "page-received", request, page: await readFeed(this.#edge, effect.query) };
        case "push":
          return { kind: "push-answered", request, answer: await pushCommits(this.#edge, effect.batch, effect.history) };
        case "apply": {
          const { resolve, durability } = await rules();
          const applied = await database.run((db) => applyPage(db, effect.page, effect.asked, this.#term, resolve, durability));
          const { history } = applied;
          if (applied.kind === "stale") return { kind: "page-stale", request, history };
          this.#context.onWritten(applied, history);
          return { kind: "page-applied", request, history, left: applied.left, changed: applied.changed };
        }
        case "read-outbox":
          return { kind: "outbox-read", request, ...(await this.#readOutbox(effect.after)) };
        case "record": {
          const change = await database.run((db) => recordRefusals(db, effect.refused, this.#term));
          this.#context.onWritten(change);
          return { kind: "refusals-recorded", request, left: change.left };
        }
      }
    } catch (error) {
      if (error instanceof Fenced) throw error;
      const kind = effect.kind === "pull" ? "pull-failed" : effect.kind === "push" ? "push-failed" : "storage-failed";
      return { kind, request, error: toHeadwaterError(error) };
    }
  }

  async #readOutbox(after: number): Promise<{ unsent: { entry: PendingEntry; size: number }[]; isEnd: boolean }> {
    const bundles = await this.#context.database.run((db) => bundlesFrom(db, bundleKeyOf(after)));
    const unsent = bundles
      .flatMap((bundle) => entriesOf(bundle))
      .filter(({ seq }) => seq > after)
      .map((entry) => ({ entry, size: JSON.stringify(entry.events).length }));
    // A tab that knew of another filter has appended them, or the app put them back.
    const { scope } = this.#state.history;
    const strays = unsent.map(({ entry }) => entry.streamId).filter((streamId) => !isWithin(scope, streamId));
    if (strays.length > 0) this.give({ kind: "scope-changed", history: await this.#context.follow(strays) });
    return { unsent, isEnd: unsent.length === 0 };
  }

  #onBroken(error: unknown): void {
    if (!(error instanceof Fenced)) throw error;
    this.end("fenced");
  }

  /** On a live connection, where one can be had: without one the feed is asked now and then. */
  async #listen(wanted: Listen): Promise<void> {
    // A page that can't load it does without.
    this.#live ??= import("../edge/feed-socket.ts").then(
      ({ Live }) => new Live(this, this.#context.edge, this.#ending.signal, backoff, match, feedPage),
      () => undefined,
    );
    (await this.#live)?.listen(wanted);
  }

  #wait(timer: Timer, milliseconds: number): void {
    clearTimeout(this.#timers.get(timer));
    const isSeldom = timer === "poll" && (globalThis.document?.hidden || this.isLive);
    const wait = setTimeout(() => this.give({ kind: "timer", timer }), isSeldom ? milliseconds * SELDOM : milliseconds);
    this.#timers.set(timer, wait);
  }

  #answer(upTo: number, error?: HeadwaterError): void {
    const answered = this.#asks.filter(({ number }) => number <= upTo);
    this.#asks = this.#asks.filter(({ number }) => number > upTo);
    const asks = answered.map(({ ask }) => ask);
    this.#context.onAnswered(asks, error);
    if (!this.#context.settings.automatic && this.#asks.length === 0) this.end("done");
  }
}

/** What nobody foresaw is shown in the status, and tried again with the rest. */
function toHeadwaterError(error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  return new StorageFailedError(String(error), {}, { cause: error });
}
