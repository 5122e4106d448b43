/**
 * Sync as a machine: `(state, input) → (state, effects)`. It is total: any input may come in any state, also late, twice or
 * never, and what no longer matters changes nothing. The shell (`client/syncer.ts`) performs the effects against IndexedDB and the edge, the
 * simulation (`test/simulation/`) against a hostile world; each effect that asks for something carries a number, and its answer the same one.
 *
 * Two lanes, each with one thing under way at most, so that a push that hangs does not hold up what others did:
 *
 *     pull   resting ──► asking ──► applying ──► resting (or asks on, where the page was not the last)
 *                ▲          │          └── storage failed ──► backing off ── timer ──► resting
 *                └── failed ┘ and the link is down
 *     push   resting ──► reading the outbox ──► sending ──► (recording refusals) ──► reading on … ──► resting
 *                                                └── failed ──► backing off ── timer ──► resting
 *
 *     link   connecting ── a page came ──► open ── a pull failed ──► down, because: offline │ unauthorized │ diverged
 *                ▲                                                     │
 *                └────────────────── timer, ask, wake ─────────────────┘
 *
 * Only the pull lane judges the link. A push that fails backs off by itself and has a page asked for, which tells whether the
 * edge is gone or only this push is wrong; and the push lane works on an open link only, so that a device which comes back
 * asks for one page before it sends anything.
 *
 * A lane has work as long as it is wanted further than it is done: counters, not flags, so that what is asked for while it
 * works is never taken for what it was already doing.
 *
 * Invariants (numbers of the design's section 9; the ones in letters are the machine's own):
 *  1. nothing is dropped here: an entry leaves the outbox only by a page that is applied, or by the app;
 *  5. pages are asked for from where storage says that the device stands, and storage applies them;
 *  6. an entry that the edge took is awaited, and sent again where the feed does not bring it;
 * 10. another log's page is not handed on to be applied, and nothing is sent once another log has been seen;
 *  A. in one stream nothing is sent before what was made earlier, while that is contested or set aside;
 *  B. it never stands still: whenever something is wanted and nothing is under way, a timer runs (or, for a store that
 *     syncs only when asked, the asker has been told).
 *
 * What it does not do: decide what becomes of commits (`outbox.ts`, `push.ts`, `history.ts`), keep time, draw numbers.
 */
import { assert, unreachable } from "./assert.ts";
import { type Backoff, backoff } from "./backoff.ts";
import { type HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "./errors.ts";
import { type History, nextPage, type PageRequest, pageQuery } from "./history.ts";
import type { PendingEntry } from "./outbox.ts";
import { judgePush, nextPush, type PushBounds, type Refused, rejection } from "./push.ts";
import type { FeedPage, FeedQuery, PushAnswer } from "./wire.ts";

export interface SyncSettings {
  /** Whether it works by itself, or only for those who ask. */
  readonly automatic: boolean;
  /** Events of a page at most. */
  readonly pageEvents: number;
  readonly push: PushBounds;
  /** Milliseconds after which the feed is asked again where nothing else has asked. */
  readonly pollEvery: number;
}

/** How the edge is, as far as the last answer told. */
export type Link =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  | { readonly kind: "down"; readonly trouble: Trouble; readonly error: HeadwaterError };

export type Trouble = "offline" | "unauthorized" | "diverged";

export type PullLane =
  | { readonly kind: "resting" }
  | { readonly kind: "asking"; readonly request: number; readonly covers: number; readonly page: PageRequest }
  | { readonly kind: "applying"; readonly request: number; readonly covers: number }
  | { readonly kind: "backing-off" };

export type PushLane =
  | { readonly kind: "resting" }
  | { readonly kind: "reading"; readonly request: number; readonly covers: number; readonly after: number }
  | Sending
  | { readonly kind: "recording"; readonly request: number; readonly covers: number; readonly after: number }
  | { readonly kind: "backing-off"; readonly trouble: Trouble; readonly error: HeadwaterError };

interface Sending {
  readonly kind: "sending";
  readonly request: number;
  readonly covers: number;
  readonly batch: readonly PendingEntry[];
  /** What was read and did not fit. */
  readonly rest: readonly Unsent[];
  /** What a page has changed since it was sent, by `seq`: an answer is no longer about what stands there now. */
  readonly touched: ReadonlySet<number>;
}

/** An entry that the edge has answered and the feed is yet to explain. */
export interface Awaited {
  readonly streamId: string;
  readonly kind: "taken" | "contested";
}

/** Someone waits for everything to be in step, as of then. */
export interface Ask {
  readonly number: number;
  readonly pull: number;
  readonly push: number;
}

export interface SyncState {
  readonly settings: SyncSettings;
  /** As storage has it. */
  readonly history: History;
  readonly link: Link;
  readonly pull: PullLane;
  readonly push: PushLane;
  /** How often each lane was asked to work, and up to which of these it has. */
  readonly wanted: Lanes;
  readonly done: Lanes;
  /** By `seq`. */
  readonly awaited: ReadonlyMap<number, Awaited>;
  /** Streams whose commit the edge failed at again and again: passed over for a while. */
  readonly setAside: ReadonlySet<string>;
  /** Commits of a push at most, and events of a page: halved while too much is too much. */
  readonly pushCommits: number;
  readonly pageEvents: number;
  /** In a row: pulls that failed, pushes that failed, times that a stream was set aside, looks at a log that lags. */
  readonly failures: number;
  readonly strikes: number;
  readonly asides: number;
  readonly lags: number;
  readonly isLagTimed: boolean;
  readonly asks: readonly Ask[];
  readonly asked: number;
  readonly requests: number;
}

interface Lanes {
  readonly pull: number;
  readonly push: number;
}

export interface Unsent {
  readonly entry: PendingEntry;
  /** Characters of its events as JSON. */
  readonly size: number;
}

export type Timer = "pull" | "push" | "aside" | "poll" | "lag";

export type SyncInput =
  /** Something was added to the outbox, by any tab. */
  | { readonly kind: "appended" }
  /** Someone waits until all is in step. */
  | { readonly kind: "asked" }
  /** The network may be back, the page is looked at again, there is a new token. */
  | { readonly kind: "woken" }
  | { readonly kind: "timer"; readonly timer: Timer }
  | { readonly kind: "page-received"; readonly request: number; readonly page: FeedPage }
  | { readonly kind: "pull-failed"; readonly request: number; readonly error: HeadwaterError }
  /** @param left entries that are pending no more; `changed` ones have moved */
  | {
      readonly kind: "page-applied";
      readonly request: number;
      readonly history: History;
      readonly left: readonly number[];
      readonly changed: readonly number[];
    }
  /** Storage stands elsewhere than the page was asked for from. */
  | { readonly kind: "page-stale"; readonly request: number; readonly history: History }
  /** @param isEnd nothing stands behind the last of them */
  | { readonly kind: "outbox-read"; readonly request: number; readonly unsent: readonly Unsent[]; readonly isEnd: boolean }
  | { readonly kind: "push-answered"; readonly request: number; readonly answer: PushAnswer }
  | { readonly kind: "push-failed"; readonly request: number; readonly error: HeadwaterError }
  | { readonly kind: "refusals-recorded"; readonly request: number; readonly left: readonly number[] }
  | { readonly kind: "storage-failed"; readonly request: number; readonly error: HeadwaterError }
  /** The device follows more of the store, or less. */
  | { readonly kind: "scope-changed"; readonly history: History };

export type SyncEffect =
  | { readonly kind: "pull"; readonly request: number; readonly query: FeedQuery }
  | { readonly kind: "apply"; readonly request: number; readonly page: FeedPage; readonly asked: PageRequest }
  | { readonly kind: "read-outbox"; readonly request: number; readonly after: number }
  | { readonly kind: "push"; readonly request: number; readonly batch: readonly PendingEntry[]; readonly history: History }
  | { readonly kind: "record"; readonly request: number; readonly refused: readonly Refused[] }
  /** Takes the place of a wait with the same name. */
  | { readonly kind: "wait"; readonly timer: Timer; readonly milliseconds: number }
  /** Everyone who asked up to this number has what they asked for. */
  | { readonly kind: "settled"; readonly asked: number }
  | { readonly kind: "failed"; readonly asked: number; readonly error: HeadwaterError };

export interface Step {
  readonly state: SyncState;
  readonly effects: readonly SyncEffect[];
}

/** Waits for a log to bring what its streams took, in milliseconds. Behind the last one, each doubles and everything is sent again. */
const LAGS = [20, 50, 100, 200, 400, 800, 1500, 3000];
const LONGEST_LAG = 60_000;
/** How often the same push may fail for no known reason before less is sent. */
const STRIKES = 3;

const BACKOFFS: Readonly<Record<Trouble, Backoff>> = {
  offline: { first: 300, longest: 30_000 },
  unauthorized: { first: 2_000, longest: 60_000 },
  // Somebody has to decide; but an edge that was mended is found again without a reload.
  diverged: { first: 10_000, longest: 60_000 },
};

/** A tab begins to lead. What another one had under way shows as duplicates. */
export function startSync(settings: SyncSettings, history: History): SyncState {
  const wanted = { pull: settings.automatic ? 1 : 0, push: settings.automatic ? 1 : 0 };
  return {
    settings,
    history,
    link: { kind: "connecting" },
    pull: { kind: "resting" },
    push: { kind: "resting" },
    wanted,
    done: { pull: 0, push: 0 },
    awaited: new Map(),
    setAside: new Set(),
    pushCommits: settings.push.commits,
    pageEvents: settings.pageEvents,
    failures: 0,
    strikes: 0,
    asides: 0,
    lags: 0,
    isLagTimed: false,
    asks: [],
    asked: 0,
    requests: 0,
  };
}

/** @param random from 0 to below 1, drawn for this call: it spreads waits */
export function advance(state: SyncState, input: SyncInput, random: number): Step {
  const machine = new Machine(state, random);
  machine.take(input);
  machine.proceed();
  return { state: machine.state, effects: machine.effects };
}

/** One step under way: the state as it changes, and the effects as they come up. Nothing outlives the call. */
class Machine {
  state: SyncState;
  readonly effects: SyncEffect[] = [];
  readonly #random: number;

  constructor(state: SyncState, random: number) {
    this.state = state;
    this.#random = random;
  }

  take(input: SyncInput): void {
    const { pull, push } = this.state;
    switch (input.kind) {
      case "appended":
        return this.#want({ push: 1 });
      case "asked":
        return this.#ask();
      case "woken":
        return this.#wake();
      case "scope-changed":
        this.#set({ history: input.history });
        return this.#want({ pull: 1 });
      case "timer":
        return this.#onTimer(input.timer);
      case "page-received":
        if (pull.kind === "asking" && pull.request === input.request) this.#onPage(pull, input.page);
        return;
      case "pull-failed":
        if (pull.kind === "asking" && pull.request === input.request) this.#onPullFailed(input.error);
        return;
      case "page-applied":
        if (pull.kind === "applying" && pull.request === input.request) this.#onApplied(pull, input);
        return;
      case "page-stale":
        if (pull.kind === "applying" && pull.request === input.request) this.#set({ history: input.history, pull: { kind: "resting" } });
        return;
      case "outbox-read":
        if (push.kind === "reading" && push.request === input.request) this.#onRead(push, input.unsent, input.isEnd);
        return;
      case "push-answered":
        if (push.kind === "sending" && push.request === input.request) this.#onAnswer(push, input.answer);
        return;
      case "push-failed":
        if (push.kind === "sending" && push.request === input.request) this.#onPushFailed(push, input.error);
        return;
      case "refusals-recorded":
        if (push.kind === "recording" && push.request === input.request) {
          this.#forget(input.left, []);
          this.#read(push.covers, push.after);
        }
        return;
      case "storage-failed":
        return this.#onStorageFailed(input.request, input.error);
      default:
        return unreachable(input);
    }
  }

  /** Starts what is wanted and can be, and tells those who waited for it. */
  proceed(): void {
    this.#startPull();
    this.#startPush();
    this.#watchLag();
    this.#settle();
  }

  #startPull(): void {
    const { pull, link, wanted, done, history, pageEvents } = this.state;
    if (pull.kind !== "resting" || link.kind === "down" || done.pull >= wanted.pull || !this.#isActive()) return;
    const page = nextPage(history);
    const request = this.#request();
    this.#set({ pull: { kind: "asking", request, covers: wanted.pull, page } });
    this.effects.push({ kind: "pull", request, query: pageQuery(history, page, pageEvents) });
  }

  #startPush(): void {
    const { push, wanted, done, link } = this.state;
    if (push.kind !== "resting" || done.push >= wanted.push || link.kind !== "open" || !this.#isActive()) return;
    this.#read(wanted.push, 0);
  }

  /** What the edge has answered is not in the feed: the log behind it lags, and is looked at again. */
  #watchLag(): void {
    const { pull, push, link, awaited, wanted, done, isLagTimed, lags } = this.state;
    if (awaited.size === 0 || isLagTimed || push.kind === "sending" || !this.#isActive()) return;
    if (pull.kind !== "resting" || link.kind === "down" || done.pull < wanted.pull) return;
    this.#set({ isLagTimed: true });
    this.#wait("lag", LAGS[lags] ?? Math.min(LONGEST_LAG, 3000 * 2 ** (lags - LAGS.length + 1)));
  }

  #settle(): void {
    const { asks, done, awaited, setAside } = this.state;
    if (awaited.size > 0 || setAside.size > 0) return;
    const settled = asks.filter((ask) => ask.pull <= done.pull && ask.push <= done.push);
    const last = settled.at(-1);
    if (last === undefined) return;
    this.#set({ asks: asks.filter((ask) => ask.number > last.number) });
    this.effects.push({ kind: "settled", asked: last.number });
  }

  /** A store that syncs only when asked does so as long as someone waits. */
  #isActive(): boolean {
    return this.state.settings.automatic || this.state.asks.length > 0;
  }

  #ask(): void {
    this.#want({ pull: 1, push: 1 });
    const { asked, asks, wanted } = this.state;
    this.#set({ asked: asked + 1, asks: [...asks, { number: asked + 1, ...wanted }] });
    this.#try();
  }

  #wake(): void {
    this.#want({ pull: 1, push: 1 });
    this.#try();
  }

  /** At once, whatever is being waited for. */
  #try(): void {
    const { pull, push, link } = this.state;
    if (pull.kind === "backing-off") this.#set({ pull: { kind: "resting" } });
    if (push.kind === "backing-off") this.#set({ push: { kind: "resting" } });
    if (link.kind === "down") this.#set({ link: { kind: "connecting" } });
    this.#takeBack();
  }

  #onTimer(timer: Timer): void {
    const { pull, push, link } = this.state;
    switch (timer) {
      case "pull":
        if (pull.kind === "backing-off") this.#set({ pull: { kind: "resting" } });
        if (link.kind === "down") this.#set({ link: { kind: "connecting" } });
        return;
      case "push":
        if (push.kind === "backing-off") this.#set({ push: { kind: "resting" } });
        return;
      case "aside":
        return this.#takeBack();
      case "poll":
        // The outbox too: that another tab has appended may never have been told.
        return this.#want({ pull: 1, push: 1 });
      case "lag":
        return this.#onLag();
      default:
        return unreachable(timer);
    }
  }

  #onLag(): void {
    if (!this.state.isLagTimed) return;
    const lags = this.state.lags + 1;
    this.#set({ isLagTimed: false, lags });
    this.#want({ pull: 1 });
    if (lags < LAGS.length) return;
    // Invariant 6: perhaps the edge has lost what it took. Sending it again is safe.
    this.#set({ awaited: new Map() });
    this.#want({ push: 1 });
    this.#fail(new UnavailableError("The edge has taken the commits, but its log has not brought them yet; sync again later."));
  }

  /** Streams that were set aside have their turn again, one commit at a time until one is taken. */
  #takeBack(): void {
    if (this.state.setAside.size === 0) return;
    this.#set({ setAside: new Set(), pushCommits: 1 });
    this.#want({ push: 1 });
  }

  #onPage(pull: PullLane & { kind: "asking" }, page: FeedPage): void {
    const { log } = this.state.history;
    // The edge compares where it is told; an answer is compared all the same, before anything of it is kept.
    if (log !== null && log !== page.log) return this.#onPullFailed(new LogMismatchError(undefined, { log: page.log }));
    if (page.position < pull.page.after || (page.position === pull.page.after && page.position < page.head)) {
      return this.#onPullFailed(new UnavailableError("The edge answered a page that does not go on."));
    }
    this.#set({ link: { kind: "open" }, failures: 0, pull: { kind: "applying", request: pull.request, covers: pull.covers } });
    this.effects.push({ kind: "apply", request: pull.request, page, asked: pull.page });
  }

  #onApplied({ covers }: PullLane & { kind: "applying" }, { history, left, changed }: Extract<SyncInput, { kind: "page-applied" }>): void {
    const { settings, pageEvents, done, push } = this.state;
    const isLast = history.fills.length === 0 && history.position >= history.head;
    this.#set({ history, failures: 0, pull: { kind: "resting" }, pageEvents: Math.min(settings.pageEvents, pageEvents * 2) });
    if (isLast) {
      this.#set({ done: { ...done, pull: covers } });
      if (settings.automatic) this.#wait("poll", settings.pollEvery);
    }
    this.#forget(left, changed);
    if (changed.length > 0) this.#want({ push: 1 });
    if (push.kind === "sending") {
      const touched = new Set([...push.touched, ...left, ...changed]);
      this.#set({ push: { ...push, touched, rest: changed.length > 0 ? [] : push.rest } });
    }
  }

  #onPullFailed(error: HeadwaterError): void {
    const trouble = troubleOf(error);
    const failures = this.state.failures + 1;
    this.#set({ failures, link: { kind: "down", trouble, error }, pull: { kind: "resting" } });
    this.#wait("pull", this.#pause(trouble, failures, error));
    this.#fail(error);
  }

  #onRead({ covers, after }: { readonly covers: number; readonly after: number }, unsent: readonly Unsent[], isEnd: boolean): void {
    const { awaited, setAside, settings, pushCommits, done, link } = this.state;
    if (link.kind !== "open") return this.#set({ push: { kind: "resting" } });
    // Invariant A.
    const blocked = new Set(setAside);
    for (const { kind, streamId } of awaited.values()) if (kind === "contested") blocked.add(streamId);
    const sendable = unsent.filter(({ entry }) => !awaited.has(entry.seq) && !blocked.has(entry.streamId));
    const items = nextPush(sendable, { ...settings.push, commits: pushCommits });
    if (items.length > 0) return this.#send(covers, items, sendable.slice(items.length));
    if (!isEnd) return this.#read(covers, unsent.at(-1)?.entry.seq ?? after);
    this.#set({ push: { kind: "resting" }, done: { ...done, push: covers } });
    if (setAside.size === 0) this.#set({ asides: 0 });
    if (awaited.size === 0) this.#set({ lags: 0 });
    // One look for all that was sent: asking after each push would make many small pages.
    else this.#want({ pull: 1 });
  }

  #send(covers: number, items: readonly Unsent[], rest: readonly Unsent[]): void {
    const request = this.#request();
    const batch = items.map(({ entry }) => entry);
    this.#set({ push: { kind: "sending", request, covers, batch, rest, touched: new Set() } });
    this.effects.push({ kind: "push", request, batch, history: this.state.history });
  }

  #onAnswer({ batch, covers, rest, request, touched }: Sending, answer: PushAnswer): void {
    const { settings, awaited, history } = this.state;
    // Invariant 10. What another log's streams took is awaited in vain, so it is not noted as taken.
    if (history.log !== null && answer.log !== null && history.log !== answer.log) {
      return this.#backOffPush(new LogMismatchError(undefined, { log: answer.log }));
    }
    const { taken, contested, refused } = judgePush(batch, answer.results);
    const noted = new Map(awaited);
    for (const { seq, streamId } of taken) if (!touched.has(seq)) noted.set(seq, { streamId, kind: "taken" });
    for (const { seq, streamId } of contested) if (!touched.has(seq)) noted.set(seq, { streamId, kind: "contested" });
    this.#set({ awaited: noted, strikes: 0, pushCommits: settings.push.commits });
    if (contested.length > 0) this.#want({ pull: 1 });
    const after = batch.at(-1)?.seq ?? 0;
    if (refused.length > 0) return this.#record(request, covers, after, refused);
    if (contested.length > 0 || rest.length === 0) return this.#read(covers, after);
    return this.#onRead({ covers, after }, rest, false);
  }

  #onPushFailed(lane: Sending, error: HeadwaterError): void {
    const [first] = lane.batch;
    assert(first !== undefined, "a push has at least one commit");
    switch (remedyOf(error.code)) {
      case "retry":
        return this.#onStrike(lane, first, error);
      case "authenticate":
      case "ask":
        return this.#backOffPush(error);
      default:
        // Nothing of a store that is full, or closed to these credentials, is a commit's fault.
        if (error.code === "forbidden" || error.code === "store-full") return this.#backOffPush(error);
        if (lane.batch.length > 1) {
          this.#set({ pushCommits: Math.ceil(lane.batch.length / 2) });
          return this.#read(lane.covers, first.seq - 1);
        }
        this.#set({ pushCommits: this.state.settings.push.commits });
        return this.#record(lane.request, lane.covers, first.seq, [{ entry: first, reason: rejection(error.code, error.message) }]);
    }
  }

  /** The same push is not sent for ever: after some strikes less of it, and in the end without what it fails at. */
  #onStrike({ batch }: Sending, first: PendingEntry, error: HeadwaterError): void {
    const { strikes, pushCommits, setAside, asides } = this.state;
    const isOut = (strikes + 1) % STRIKES === 0;
    if (batch.length > 1) {
      if (isOut) this.#set({ pushCommits: Math.ceil(batch.length / 2) });
    } else if (isOut || pushCommits === 1) {
      this.#set({ setAside: new Set([...setAside, first.streamId]), asides: asides + 1 });
      this.#wait("aside", this.#pause("unauthorized", asides + 1, error));
    }
    this.#backOffPush(error);
  }

  #record(request: number, covers: number, after: number, refused: readonly Refused[]): void {
    this.#set({ push: { kind: "recording", request, covers, after } });
    this.effects.push({ kind: "record", request, refused });
  }

  #onStorageFailed(request: number, error: HeadwaterError): void {
    const { pull, push, pageEvents, failures } = this.state;
    if (pull.kind === "applying" && pull.request === request) {
      // A smaller page may still find room, and settling makes some.
      this.#set({ pageEvents: Math.ceil(pageEvents / 2), failures: failures + 1, pull: { kind: "backing-off" } });
      this.#wait("pull", this.#pause("offline", failures + 1, error));
      this.#fail(error);
    } else if ((push.kind === "reading" || push.kind === "recording") && push.request === request) this.#backOffPush(error);
  }

  /** Whether the edge can be reached at all is for the pull to find out. */
  #backOffPush(error: HeadwaterError): void {
    const strikes = this.state.strikes + 1;
    const trouble = troubleOf(error);
    this.#set({ strikes, push: { kind: "backing-off", trouble, error } });
    this.#wait("push", this.#pause(trouble, strikes, error));
    this.#fail(error);
    this.#want({ pull: 1 });
  }

  #pause(trouble: Trouble, failures: number, { details }: HeadwaterError): number {
    return backoff(BACKOFFS[trouble], failures, this.#random, (details.retryAfter ?? 0) * 1000);
  }

  /** Everyone who waits is told; what goes on by itself goes on. */
  #fail(error: HeadwaterError): void {
    if (this.state.asks.length === 0) return;
    this.#set({ asks: [] });
    this.effects.push({ kind: "failed", asked: this.state.asked, error });
  }

  #read(covers: number, after: number): void {
    const request = this.#request();
    this.#set({ push: { kind: "reading", request, covers, after } });
    this.effects.push({ kind: "read-outbox", request, after });
  }

  /** What left the outbox is awaited no more, and what has moved is contested no more. */
  #forget(left: readonly number[], changed: readonly number[]): void {
    const { awaited } = this.state;
    if (awaited.size === 0) return;
    const kept = new Map(awaited);
    for (const seq of left) kept.delete(seq);
    for (const seq of changed) if (kept.get(seq)?.kind === "contested") kept.delete(seq);
    this.#set({ awaited: kept });
    if (kept.size === 0) this.#set({ lags: 0 });
  }

  #want({ pull = 0, push = 0 }: Partial<Lanes>): void {
    const { wanted } = this.state;
    this.#set({ wanted: { pull: wanted.pull + pull, push: wanted.push + push } });
  }

  #wait(timer: Timer, milliseconds: number): void {
    this.effects.push({ kind: "wait", timer, milliseconds });
  }

  #request(): number {
    const requests = this.state.requests + 1;
    this.#set({ requests });
    return requests;
  }

  #set(change: Partial<SyncState>): void {
    this.state = { ...this.state, ...change };
  }
}

/** How the device stands to its edge, for people. */
export function connectionOf({ link, push }: SyncState): "connecting" | "live" | Trouble {
  if (link.kind === "down") return link.trouble;
  if (push.kind === "backing-off") return push.trouble;
  return link.kind === "open" ? "live" : link.kind;
}

/** What stands in the way, where something does. */
export function troubleOfSync({ link, push }: SyncState): HeadwaterError | null {
  if (link.kind === "down") return link.error;
  return push.kind === "backing-off" ? push.error : null;
}

function troubleOf({ code }: HeadwaterError): Trouble {
  switch (remedyOf(code)) {
    case "authenticate":
      return "unauthorized";
    case "ask":
      return "diverged";
    default:
      return code === "forbidden" ? "unauthorized" : "offline";
  }
}
