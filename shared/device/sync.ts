/**
 * Sync as a state machine: `(state, input) → (state, effects)`. It is total: every input may come in every state, also late, twice or
 * never, and an input that no longer matters changes nothing. The shell (`client/sync/session.ts`) performs the effects with IndexedDB
 * and the edge. The simulation (`test/simulation/`) performs them in a hostile world. Each effect that needs an answer has a request
 * number, and the answer has the same number.
 *
 * There are two lanes. Each does at most one thing at a time, so a push that hangs does not hold up the events of others:
 *
 *     pull   resting ──► requesting ──► applying ──► resting (or requesting again, if this was not the last page)
 *                ▲          │              └── storage failed ──► backing off ── timer ──► resting
 *                └── failed ┘ and the link is down
 *            resting, in step ──► listening ── a page came ──► applying
 *                                     └── a page is wanted ──► requesting
 *     push   resting ──► reading the outbox ──► sending ──► (recording refusals) ──► reading on … ──► resting
 *                                                └── failed ──► backing off ── timer ──► resting
 *
 *     link   connecting ── a page came ──► open ── a pull failed ──► down, because: offline │ unauthorized │ diverged
 *                ▲                                                     │
 *                └───────────────── timer, call, wake ─────────────────┘
 *
 * Only the pull lane changes the link. If a push fails, the push lane backs off and requests a page. The page shows whether the edge
 * can't be reached or only this push is wrong. The push lane works only while the link is open. So a device that comes back requests
 * one page before it sends anything.
 *
 * Only the edge judges what is sent (`shared/wire/answer.ts`). A commit is refused by the edge's own word alone. If a push fails for
 * another reason, it is sent again, and less at once, until the commit that does not get through is found. Its stream is deferred: the
 * others go on, and it is retried now and then, for as long as it takes.
 *
 * Nobody waits for listening: it receives the pages that the edge sends by itself, on the feed socket if the shell has one. A page that
 * is wanted takes precedence over it. So a socket that sends nothing, or that only seems to be open, costs time and nothing else.
 *
 * A lane has work while `done < wanted`. Both are counters and not flags, so that a request that comes while the lane works is never
 * taken for the work that was already under way.
 *
 * Invariants (numbers of docs/architecture.md; those with letters are the machine's own):
 *  1. nothing is dropped here: an entry leaves the outbox only by a page that is applied, or by the app;
 *  5. a page is requested from the replica's position as storage has it, and storage applies it;
 *  6. an entry that the edge took is awaited, and is sent again if the feed does not deliver it. What the edge has answered goes with each
 *     page, so that no rule replaces what the edge has;
 *  8. a page that storage has changed, or a reader on the way, is not applied;
 * 10. a page of another log is not applied, and nothing is sent after another log has been seen;
 *  A. within a stream nothing is sent before an earlier commit that is contested or deferred;
 *  B. it never gets stuck: if something is wanted and nothing is under way, a timer runs (or, for a store that syncs only when
 *     it is called, the caller has been notified).
 *
 * What it does not do: decide about commits (`outbox.ts`, `push.ts`) and pages (`replica.ts`), keep time, or draw random numbers.
 */
import { assert } from "../assert.ts";
import { type Backoff, backoff } from "../backoff.ts";
import { type HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "../errors.ts";
import { messageOf } from "../thrown.ts";
import type { Failure, Unheard } from "../wire/answer.ts";
import type { FeedPage, FeedQuery, PushAnswer } from "../wire/wire.ts";
import { type AwaitedEntries, contestedStreams, type PendingEntry } from "./outbox.ts";
import { damageOf } from "./page-check.ts";
import type { Sent } from "./progress.ts";
import { judgePush, nextPush, type PushBounds, type Refused, rejection } from "./push.ts";
import { isBehind, nextPage, type PageRequest, pageQuery, type Replica } from "./replica.ts";

export interface SyncSettings {
  /** Whether it syncs by itself, or only while a call of `sync()` waits. */
  readonly automatic: boolean;
  /** The greatest number of events in a page. */
  readonly pageEvents: number;
  readonly push: PushBounds;
  /** Milliseconds after which a page is requested if nothing else has requested one. */
  readonly pollEvery: number;
  /** Whether there may be a feed socket, on which the edge sends new pages. */
  readonly feedSocket: boolean;
}

/** The state of the connection to the edge, as the last pull showed it. */
export type Link =
  /** @param outage the one that lasts, if there is one: a retry alone does not end it */
  | { readonly kind: "connecting"; readonly outage: Outage | null }
  | { readonly kind: "open" }
  | { readonly kind: "down"; readonly outage: Outage };

export type Trouble = "offline" | "unauthorized" | "diverged";

export interface Outage {
  readonly trouble: Trouble;
  readonly error: HeadwaterError;
}

/** What goes wrong while the link is open. Each lasts until the same has succeeded. */
export interface Problems {
  /** Storage can't apply a page. */
  readonly page: HeadwaterError | null;
  /** A push does not get through, or its answer can't be stored. The trouble is null if a page may come all the same. */
  readonly push: { readonly trouble: Trouble | null; readonly error: HeadwaterError } | null;
  /** Why streams are deferred: their storage is broken, or a commit does not get through. Of the second, the cause is the push's error. */
  readonly deferred: HeadwaterError | null;
  /** A command waits for another version of the app. */
  readonly waiting: HeadwaterError | null;
  /** Why there is no feed socket. */
  readonly feedSocket: HeadwaterError | null;
}

export type PullLane =
  | { readonly kind: "resting" }
  | { readonly kind: "requesting"; readonly request: number; readonly covers: number; readonly page: PageRequest }
  | { readonly kind: "listening"; readonly request: number; readonly covers: number; readonly page: PageRequest }
  | { readonly kind: "applying"; readonly request: number; readonly covers: number }
  | { readonly kind: "backing-off" };

export type PushLane =
  | { readonly kind: "resting" }
  | { readonly kind: "reading"; readonly request: number; readonly covers: number; readonly after: number }
  | Sending
  | { readonly kind: "recording"; readonly request: number; readonly covers: number; readonly after: number }
  | { readonly kind: "backing-off" };

interface Sending {
  readonly kind: "sending";
  readonly request: number;
  readonly covers: number;
  readonly batch: readonly PendingEntry[];
  /** Entries that were read and did not fit into the batch. */
  readonly rest: readonly Unsent[];
  /** The `seq` up to which the outbox was read. */
  readonly readTo: number;
  /** The `seq` of entries that a page has changed since they were sent: the answer is not about these entries as they are now. */
  readonly touched: ReadonlySet<number>;
  /** Entries that were skipped may be sent now, so the outbox must be read from the beginning. */
  readonly isOvertaken: boolean;
}

/** A call of `sync()` that waits. It is settled when both lanes have done what was wanted at the time of the call. */
export interface SyncCall {
  readonly number: number;
  /** The values of `wanted` that must be done. */
  readonly pull: number;
  readonly push: number;
}

export interface SyncState {
  readonly settings: SyncSettings;
  /** The replica as storage has it. */
  readonly replica: Replica;
  readonly link: Link;
  readonly problems: Problems;
  readonly pull: PullLane;
  readonly push: PushLane;
  /** How often each lane was requested to work. */
  readonly wanted: Lanes;
  /** Up to which of these requests each lane has worked. */
  readonly done: Lanes;
  readonly awaited: AwaitedEntries;
  /** What the edge took since this tab leads. What is sent again is counted again, and was taken off before. */
  readonly sent: Sent;
  /** Streams with a commit on which the edge failed again and again. The push skips them for a while. */
  readonly deferred: ReadonlySet<string>;
  /** The deferred streams are retried after everything else was sent. */
  readonly isDeferredDue: boolean;
  /** The greatest number of commits in a push. It is halved while a push is too large or keeps failing, and grows again slowly. */
  readonly pushCommits: number;
  /** The greatest number of events in a page. It is halved while storage fails to apply a page, or while a page does not get through. */
  readonly pageEvents: number;
  /** Pulls that failed in a row, and pages that storage failed to apply. */
  readonly failures: number;
  /** Pushes that failed in a row. */
  readonly strikes: number;
  /** How often in a row a stream was deferred. */
  readonly deferrals: number;
  /** How often in a row the wait for the log ended and the feed had not delivered the oldest awaited entry. */
  readonly lags: number;
  /** The timer `lag` runs. */
  readonly isLagTimed: boolean;
  readonly calls: readonly SyncCall[];
  readonly lastCall: number;
  readonly requests: number;
}

interface Counts {
  pull: number;
  push: number;
}

type Lanes = Readonly<Counts>;

export interface Unsent {
  readonly entry: PendingEntry;
  /** The number of characters of the commit as the device stores it. */
  readonly size: number;
}

export type Timer = "pull" | "push" | "deferred" | "poll" | "lag";

export type SyncInput =
  /** A commit was added to the outbox, by any tab. */
  | { readonly kind: "appended" }
  /** `sync()` was called: the caller waits until everything is in step. */
  | { readonly kind: "called" }
  /** The network may be back, the web page is visible again, or there is a new token. */
  | { readonly kind: "woken" }
  | { readonly kind: "timer"; readonly timer: Timer }
  | { readonly kind: "page-received"; readonly request: number; readonly page: FeedPage }
  | { readonly kind: "pull-failed"; readonly request: number; readonly failure: Failure }
  /**
   * @param left the `seq` of entries that are no longer pending
   * @param changed the `seq` of entries that have moved
   * @param waiting why a contested entry waits for another version of the app
   */
  | {
      readonly kind: "page-applied";
      readonly request: number;
      readonly replica: Replica;
      readonly left: readonly number[];
      readonly changed: readonly number[];
      readonly waiting?: HeadwaterError | undefined;
    }
  /** The replica in storage is no longer the one for which the page was requested. */
  | { readonly kind: "page-stale"; readonly request: number; readonly replica: Replica }
  /** @param isEnd the outbox has no entry after the last of them */
  | { readonly kind: "outbox-read"; readonly request: number; readonly unsent: readonly Unsent[]; readonly isEnd: boolean }
  | { readonly kind: "push-answered"; readonly request: number; readonly answer: PushAnswer }
  | { readonly kind: "push-failed"; readonly request: number; readonly failure: Failure }
  | { readonly kind: "refusals-recorded"; readonly request: number; readonly left: readonly number[] }
  | { readonly kind: "storage-failed"; readonly request: number; readonly error: HeadwaterError }
  /** The feed socket could not be opened again and again, or, with null, it is open. */
  | { readonly kind: "feed-socket"; readonly problem: HeadwaterError | null }
  /** The device follows more of the store than before, or less. */
  | { readonly kind: "scope-changed"; readonly replica: Replica };

export type SyncEffect =
  | { readonly kind: "pull"; readonly request: number; readonly query: FeedQuery }
  | { readonly kind: "listen"; readonly request: number; readonly query: FeedQuery }
  | {
      readonly kind: "apply";
      readonly request: number;
      readonly page: FeedPage;
      readonly pageRequest: PageRequest;
      readonly awaited: AwaitedEntries;
    }
  | { readonly kind: "read-outbox"; readonly request: number; readonly after: number }
  | { readonly kind: "push"; readonly request: number; readonly batch: readonly PendingEntry[]; readonly replica: Replica }
  | { readonly kind: "record"; readonly request: number; readonly refused: readonly Refused[] }
  /** Replaces a running wait for the same timer. */
  | { readonly kind: "wait"; readonly timer: Timer; readonly milliseconds: number }
  /** All calls up to this number are done. */
  | { readonly kind: "settled"; readonly upToCall: number }
  /** All calls up to this number fail. */
  | { readonly kind: "failed"; readonly upToCall: number; readonly error: HeadwaterError };

export interface Step {
  readonly state: SyncState;
  readonly effects: readonly SyncEffect[];
}

/** The first wait for the log to get what its streams took, in milliseconds. Each further wait is twice as long. */
const FIRST_LAG = 20;
/** The first wait with a feed socket, in milliseconds: most often, the edge has sent the events by then. */
const SOCKET_LAG = 500;
/** The longest wait, in milliseconds. */
const LONGEST_LAG = 60_000;
/** After so many waits, all awaited commits are sent again. */
const LAGS = 8;
/** How often the same push may fail for an unknown reason before less is sent. */
const STRIKES = 3;
/** Of so many pages of commits that the edge took, the feed is asked before all was sent. A feed socket has most often delivered them by then. */
const AWAITED_PAGES = 2;
/** By which a push grows with each success, after it was halved. A proxy's limit is then met in few pushes only. */
const GROWTH = 1.25;

/** In milliseconds. */
const BACKOFFS: Readonly<Record<Trouble, Backoff>> = {
  offline: { first: 300, longest: 30_000 },
  unauthorized: { first: 2_000, longest: 60_000 },
  // The app has to decide. But if the edge was repaired, the device finds it again without a reload.
  diverged: { first: 10_000, longest: 60_000 },
};

const NO_PROBLEMS: Problems = { page: null, push: null, deferred: null, waiting: null, feedSocket: null };

/**
 * The state when a tab begins to lead. If a former leader had a push under way, its commits are answered as duplicates.
 *
 * @param before the state when this tab led last. A commit on which the edge fails would otherwise be met anew by each call of `sync()`,
 *   and would keep all others from being sent
 */
export function startSync(settings: SyncSettings, replica: Replica, before: Partial<SyncState> = {}): SyncState {
  const { deferred = new Set(), pushCommits = settings.push.commits, strikes = 0, deferrals = 0 } = before;
  const { link, problems = NO_PROBLEMS } = before;
  const wanted = { pull: settings.automatic ? 1 : 0, push: settings.automatic ? 1 : 0 };
  return {
    settings,
    replica,
    link: { kind: "connecting", outage: link === undefined || link.kind === "open" ? null : link.outage },
    problems,
    pull: { kind: "resting" },
    push: { kind: "resting" },
    wanted,
    done: { pull: 0, push: 0 },
    awaited: new Map(),
    sent: { commits: 0, events: 0 },
    deferred,
    isDeferredDue: false,
    pushCommits,
    pageEvents: settings.pageEvents,
    failures: 0,
    strikes,
    deferrals,
    lags: 0,
    isLagTimed: false,
    calls: [],
    lastCall: 0,
    requests: 0,
  };
}

/** Makes one step. @param random from 0 to below 1, drawn for this call: it spreads the waits */
export function advance(state: SyncState, input: SyncInput, random: number): Step {
  const step: Draft = { state: { ...state, wanted: { ...state.wanted }, done: { ...state.done } }, effects: [], random };
  take(step, input);
  startPull(step);
  startPush(step);
  watchLag(step);
  settle(step);
  return step;
}

/** A step under way: the state while it changes, and the effects so far. */
interface Draft {
  readonly state: { -readonly [K in keyof SyncState]: SyncState[K] } & { readonly wanted: Counts; readonly done: Counts };
  readonly effects: SyncEffect[];
  readonly random: number;
}

function take(step: Draft, input: SyncInput): void {
  const { state } = step;
  const { pull, push } = state;
  // An answer to a request that is not under way comes too late.
  const request = "request" in input ? input.request : 0;
  const isForPull = "request" in pull && pull.request === request;
  const isForPush = "request" in push && push.request === request;
  switch (input.kind) {
    case "appended":
      return wantPush(step);
    case "called":
      wantPull(step);
      wantPush(step);
      state.calls = [...state.calls, { number: ++state.lastCall, ...state.wanted }];
      return retry(step);
    case "woken":
      wantPull(step);
      wantPush(step);
      return retry(step);
    case "scope-changed":
      state.replica = input.replica;
      return wantPull(step);
    case "timer":
      return onTimer(step, input.timer);
    case "page-received":
      if (isForPull && (pull.kind === "requesting" || pull.kind === "listening")) onPage(step, pull, input.page);
      return;
    case "pull-failed":
      if (isForPull && pull.kind === "requesting") onPullFailed(step, input.failure);
      return;
    case "page-applied":
      if (isForPull && pull.kind === "applying") onApplied(step, pull.covers, input);
      return;
    case "page-stale":
      if (!isForPull || pull.kind !== "applying") return;
      state.replica = input.replica;
      state.pull = RESTING;
      return;
    case "outbox-read":
      if (isForPush && push.kind === "reading") {
        const after = input.unsent.at(-1)?.entry.seq ?? push.after;
        onRead(step, { covers: push.covers, after }, input.unsent, input.isEnd);
      }
      return;
    case "push-answered":
      if (isForPush && push.kind === "sending") onAnswer(step, push, input.answer);
      return;
    case "push-failed":
      if (isForPush && push.kind === "sending") onPushFailed(step, push, input.failure);
      return;
    case "refusals-recorded":
      if (!isForPush || push.kind !== "recording") return;
      onPushed(step);
      forget(step, input.left, []);
      return read(step, push.covers, push.after);
    case "storage-failed":
      if (isForPull) onPageFailed(step, input.error);
      if (isForPush) backOffPush(step, problem(input.error));
      return;
    case "feed-socket":
      // While the link is down, the link's own outage says it all.
      if (input.problem === null || state.link.kind === "open") setProblem(step, { feedSocket: input.problem });
      return;
    default:
      return input satisfies never;
  }
}

const RESTING = { kind: "resting" } as const;

function startPull(step: Draft): void {
  const { state } = step;
  const { pull, link, wanted, done, replica, settings } = state;
  const isInStep = done.pull >= wanted.pull;
  if (link.kind === "down" || !isActive(state) || (isInStep && !settings.feedSocket)) return;
  if (pull.kind !== "resting" && (pull.kind !== "listening" || isInStep)) return;
  const page = nextPage(replica);
  const request = ++state.requests;
  state.pull = { kind: isInStep ? "listening" : "requesting", request, covers: wanted.pull, page };
  step.effects.push({ kind: isInStep ? "listen" : "pull", request, query: pageQuery(replica, page, state.pageEvents) });
}

function startPush(step: Draft): void {
  const { push, wanted, done, link } = step.state;
  if (push.kind !== "resting" || done.push >= wanted.push || link.kind !== "open" || !isActive(step.state)) return;
  if (isForPageFirst(step.state)) return;
  read(step, wanted.push, 0);
}

/**
 * A store that syncs by call resolves a conflict before its next push. If that push failed, it would fail all calls, and the store would stop
 * there: it would send the contested commit again with each call, and never come past it.
 */
function isForPageFirst({ awaited, wanted, done, settings }: SyncState): boolean {
  return !settings.automatic && done.pull < wanted.pull && contestedStreams(awaited).size > 0;
}

/** If the feed has not delivered what the edge took, the log lags behind its streams. A timer starts, and then a page is requested again. */
function watchLag(step: Draft): void {
  const { state } = step;
  const { pull, push, link, awaited, wanted, done, lags } = state;
  if (awaited.size === 0 || state.isLagTimed || push.kind === "sending" || !isActive(state)) return;
  if ((pull.kind !== "resting" && pull.kind !== "listening") || link.kind === "down" || done.pull < wanted.pull) return;
  state.isLagTimed = true;
  wait(step, "lag", Math.min(LONGEST_LAG, (pull.kind === "listening" ? SOCKET_LAG : FIRST_LAG) * 2 ** lags));
}

/** Settles the calls that waited for what is now done. */
function settle({ state, effects }: Draft): void {
  const { calls, done, awaited, deferred } = state;
  if (awaited.size > 0 || deferred.size > 0) return;
  const settled = calls.filter((call) => call.pull <= done.pull && call.push <= done.push).at(-1);
  if (settled === undefined) return;
  state.calls = calls.filter((call) => call.number > settled.number);
  effects.push({ kind: "settled", upToCall: settled.number });
}

/** Whether the machine works: a store that does not sync by itself works only while a call waits. */
function isActive({ settings, calls }: SyncState): boolean {
  return settings.automatic || calls.length > 0;
}

/** Retries at once, without waiting for the timers. */
function retry(step: Draft): void {
  onTimer(step, "pull");
  onTimer(step, "push");
  onTimer(step, "deferred");
}

function onTimer(step: Draft, timer: Timer): void {
  const { state } = step;
  switch (timer) {
    case "pull":
      if (state.pull.kind === "backing-off") state.pull = RESTING;
      if (state.link.kind === "down") state.link = { ...state.link, kind: "connecting" };
      return;
    case "push":
      if (state.push.kind === "backing-off") state.push = RESTING;
      return;
    case "deferred":
      if (state.deferred.size === 0) return;
      state.isDeferredDue = true;
      return wantPush(step);
    case "poll":
      // The outbox too: the message that another tab has appended may have been lost.
      wantPull(step);
      return wantPush(step);
    case "lag":
      return onLag(step);
    default:
      return timer satisfies never;
  }
}

function onLag(step: Draft): void {
  const { state } = step;
  state.isLagTimed = false;
  state.lags++;
  wantPull(step);
  if (state.lags < LAGS) return;
  // Invariant 6: perhaps the edge has lost what it took. Sending it again is safe.
  const again = [...state.awaited.values()].filter(({ kind }) => kind === "taken");
  // What is contested waits for another version of the app, and not for the feed.
  if (again.length === 0 && state.problems.waiting !== null) return;
  state.sent = { ...state.sent, commits: state.sent.commits - again.length };
  state.awaited = new Map();
  readAnew(step);
  fail(step, new UnavailableError("The feed has not delivered commits that the edge took. They are sent again."));
}

function onPage(
  step: Draft,
  { kind, request, covers, page: pageRequest }: PullLane & { kind: "requesting" | "listening" },
  page: FeedPage,
): void {
  const { state } = step;
  const { log } = state.replica;
  const { after } = pageRequest;
  // The edge compares the log if the request names one. The answer is compared here too, before anything of it is stored.
  if (log !== null && log !== page.log) return onPullFailed(step, problem(new LogMismatchError(undefined, { log: page.log })));
  if (page.position < after || (page.position === after && after < page.head) || page.events.some(({ position }) => position <= after)) {
    // On the feed socket, an earlier request was answered late. The answer to this one is still to come.
    if (kind === "listening") return;
    return onPullFailed(step, problem(new UnavailableError("The edge sent a page that does not continue the feed.")));
  }
  const damage = damageOf(state.replica, page, pageRequest);
  if (damage !== undefined) return onPullFailed(step, problem(damage));
  state.link = { kind: "open" };
  state.pull = { kind: "applying", request, covers };
  step.effects.push({ kind: "apply", request, page, pageRequest, awaited: state.awaited });
}

function onApplied(step: Draft, covers: number, { replica, left, changed, waiting }: SyncInput & { kind: "page-applied" }): void {
  const { state } = step;
  const { settings, push } = state;
  state.replica = replica;
  state.failures = 0;
  state.pull = RESTING;
  state.pageEvents = Math.min(settings.pageEvents, state.pageEvents * 2);
  setProblem(step, { page: null });
  if (!isBehind(replica)) {
    state.done.pull = covers;
    // All contested entries were looked at.
    setProblem(step, { waiting: waiting ?? null });
    if (waiting !== undefined) fail(step, waiting);
    if (settings.automatic) wait(step, "poll", settings.pollEvery);
  }
  const isMoved = changed.length > 0 || left.some((seq) => state.awaited.get(seq)?.kind === "contested");
  forget(step, left, changed);
  if (push.kind === "sending") state.push = { ...push, touched: new Set([...push.touched, ...left, ...changed]) };
  if (push.kind === "recording" && left.length > 0) state.push = { ...push, after: 0 };
  // The outbox may have been read before the page was written.
  if (push.kind === "reading" && left.length > 0) read(step, push.covers, push.after);
  if (!isMoved) return;
  readAnew(step);
  // A call may wait for an entry that has moved, or for one behind it.
  state.calls = state.calls.map((call) => ({ ...call, push: state.wanted.push }));
}

function onPullFailed(step: Draft, failure: Failure): void {
  const { state } = step;
  const { error } = failure;
  const trouble = troubleOf(failure);
  state.link = { kind: "down", outage: { trouble, error } };
  state.pull = RESTING;
  if (isTooMuch(failure)) state.pageEvents = Math.ceil(state.pageEvents / 2);
  setProblem(step, { feedSocket: null });
  pause(step, "pull", trouble, ++state.failures, error);
  fail(step, error);
}

/** Requests a smaller page: there may be room for it, and entries that it settles make room. */
function onPageFailed(step: Draft, error: HeadwaterError): void {
  const { state } = step;
  state.pull = { kind: "backing-off" };
  setProblem(step, { page: error });
  state.pageEvents = Math.ceil(state.pageEvents / 2);
  pause(step, "pull", "offline", ++state.failures, error);
  fail(step, error);
}

interface Place {
  readonly covers: number;
  readonly after: number;
}

/**
 * @param after the `seq` up to which the outbox was read
 * @param isEnd the outbox has no entry after that
 */
function onRead(step: Draft, { covers, after }: Place, unsent: readonly Unsent[], isEnd: boolean): void {
  const { state } = step;
  const { awaited, deferred, settings, pushCommits } = state;
  if (state.link.kind !== "open") {
    state.push = RESTING;
    return;
  }
  // Invariant A.
  const blocked = new Set(deferred);
  for (const streamId of contestedStreams(awaited)) blocked.add(streamId);
  const sendable = unsent.filter(({ entry }) => !awaited.has(entry.seq) && !blocked.has(entry.streamId));
  const items = nextPush(sendable, { ...settings.push, commits: pushCommits });
  if (items.length > 0) {
    const sent = new Set(items);
    return send(
      step,
      { covers, after },
      items,
      sendable.filter((item) => !sent.has(item)),
    );
  }
  if (!isEnd) return read(step, covers, after);
  if (state.isDeferredDue) return takeBack(step, covers);
  state.push = RESTING;
  state.done.push = covers;
  setProblem(step, { push: null });
  if (deferred.size === 0) {
    state.deferrals = 0;
    setProblem(step, { deferred: null });
  }
  if (awaited.size === 0) state.lags = 0;
  // One page is requested after everything was sent: a request after each push would make many small pages. A listening lane gets it anyway.
  else if (state.pull.kind !== "listening") wantPull(step);
}

/**
 * Retries the deferred streams: one commit at a time, until the edge takes one. This comes after everything else, because otherwise a
 * caller that requests a retry again and again would keep everything else from being sent.
 */
function takeBack(step: Draft, covers: number): void {
  const { state } = step;
  state.deferred = new Set();
  state.isDeferredDue = false;
  // What waits for another version of the app is not what makes a push fail.
  const { deferred } = state.problems;
  if (deferred === null || remedyOf(deferred.code) !== "update") state.pushCommits = 1;
  read(step, covers, 0);
}

function send(step: Draft, { covers, after: readTo }: Place, items: readonly Unsent[], rest: readonly Unsent[]): void {
  const { state } = step;
  const request = ++state.requests;
  const batch = items.map(({ entry }) => entry);
  state.push = { kind: "sending", request, covers, batch, rest, readTo, touched: new Set(), isOvertaken: false };
  step.effects.push({ kind: "push", request, batch, replica: state.replica });
}

function onAnswer(step: Draft, { batch, covers, rest, readTo, request, touched, isOvertaken }: Sending, answer: PushAnswer): void {
  const { state } = step;
  const { settings, replica } = state;
  // Invariant 10. The feed would never deliver what another log's streams took, so it is not recorded as taken.
  if (replica.log !== null && answer.log !== null && replica.log !== answer.log) {
    return backOffPush(step, problem(new LogMismatchError(undefined, { log: answer.log })));
  }
  if (answer.results.length !== batch.length) {
    return backOffPush(step, problem(new UnavailableError("The edge sent a wrong number of results for a push.")));
  }
  const { taken, contested, refused, waiting } = judgePush(batch, answer.results);
  const awaited = new Map(state.awaited);
  for (const { seq, streamId } of taken) if (!touched.has(seq)) awaited.set(seq, { streamId, kind: "taken" });
  for (const { seq, streamId } of contested) if (!touched.has(seq)) awaited.set(seq, { streamId, kind: "contested" });
  state.awaited = awaited;
  const events = taken.reduce((sum, entry) => sum + entry.events.length, 0);
  state.sent = { commits: state.sent.commits + taken.length, events: state.sent.events + events };
  state.pushCommits = Math.min(settings.push.commits, Math.ceil(state.pushCommits * GROWTH));
  // What is refused is still to be recorded, and that may fail again and again.
  if (refused.length === 0) onPushed(step);
  // What a command was refused on may be news to this device.
  if (contested.length > 0 || refused.some(({ isAlone }) => isAlone) || isMuchAwaited(state)) wantPull(step);
  for (const { streamId, error } of waiting) defer(step, streamId, error);
  // An entry that was skipped because of a commit that a page has changed meanwhile can be sent now.
  const isFromStart = isOvertaken || [...contested, ...refused.map(({ entry }) => entry)].some(({ seq }) => touched.has(seq));
  const [next] = rest;
  const place = { covers, after: isFromStart ? 0 : next === undefined ? readTo : next.entry.seq - 1 };
  if (refused.length > 0) return record(step, request, place, refused);
  if (isForPageFirst(state)) {
    state.push = RESTING;
    return;
  }
  if (isFromStart || contested.length > 0 || rest.length === 0) return read(step, place.covers, place.after);
  return onRead(
    step,
    { covers, after: readTo },
    rest.filter(({ entry }) => !touched.has(entry.seq)),
    false,
  );
}

/** A push was answered, and the answer is stored. */
function onPushed(step: Draft): void {
  step.state.strikes = 0;
  setProblem(step, { push: null });
}

/** Whether the feed has some pages of what the edge took. They are requested while the push goes on: the outbox and what is awaited get shorter. */
function isMuchAwaited({ awaited, pull, pageEvents }: SyncState): boolean {
  return awaited.size >= AWAITED_PAGES * pageEvents && (pull.kind === "resting" || pull.kind === "listening");
}

function onPushFailed(step: Draft, lane: Sending, failure: Failure): void {
  const { state } = step;
  const { batch, covers, request, isOvertaken } = lane;
  const [first] = batch;
  assert(first !== undefined, "a push has at least one commit");
  const { error } = failure;
  const remedy = remedyOf(error.code);
  // What a stranger rejects is found without a wait between the tries.
  if (failure.kind === "stranger" && isTooMuch(failure) && batch.length > 1) return sendLess(step, lane);
  if (failure.kind !== "problem" || remedy === "retry") return onStrike(step, batch, first, failure);
  if (remedy === "repair" && batch.some(({ streamId }) => streamId === error.details.streamId)) return deferBroken(step, error);
  // If the store is full, or the credentials do not allow the push, no commit is the cause.
  const isCommitsFault =
    remedy !== "repair" && remedy !== "authenticate" && remedy !== "ask" && error.code !== "forbidden" && error.code !== "store-full";
  if (!isCommitsFault) return backOffPush(step, failure);
  if (batch.length > 1) return sendLess(step, lane);
  state.pushCommits = state.settings.push.commits;
  return record(step, request, { covers, after: isOvertaken ? 0 : first.seq }, [
    { entry: first, reason: rejection(error.code, error.message), isAlone: false },
  ]);
}

/** The edge's storage of one stream is broken. Its commits wait, and the others of the push are sent again without them. */
function deferBroken(step: Draft, error: HeadwaterError): void {
  const { state } = step;
  defer(step, error.details.streamId ?? "", error);
  state.push = RESTING;
  wantPush(step);
}

/** The commits of a stream wait, and are sent again now and then. Calls fail, since they wait for the commits too. */
function defer(step: Draft, streamId: string, error: HeadwaterError): void {
  const { state } = step;
  state.deferred = new Set([...state.deferred, streamId]);
  setProblem(step, { deferred: error });
  pause(step, "deferred", "unauthorized", ++state.deferrals, error);
  fail(step, error);
}

/** Sends half of the push. */
function sendLess(step: Draft, { batch, covers, isOvertaken }: Sending): void {
  step.state.pushCommits = Math.ceil(batch.length / 2);
  read(step, covers, isOvertaken ? 0 : (batch[0]?.seq ?? 1) - 1);
}

/**
 * The same push is not sent forever. If it may be too much, or after `STRIKES` failures, less is sent, and at last the stream of the failing
 * commit is deferred.
 */
function onStrike(step: Draft, batch: readonly PendingEntry[], first: PendingEntry, failure: Failure): void {
  const { state } = step;
  const isTooOften = (state.strikes + 1) % STRIKES === 0;
  if (batch.length > 1) {
    if (isTooOften || isTooMuch(failure)) state.pushCommits = Math.ceil(batch.length / 2);
  } else if (isTooOften || state.pushCommits === 1) {
    const { error } = failure;
    const message = `A commit to ${first.streamId} does not get through. It is retried, and other streams go on. ${error.message}`;
    state.deferred = new Set([...state.deferred, first.streamId]);
    setProblem(step, { deferred: new UnavailableError(message, error.details, { cause: error }) });
    pause(step, "deferred", "unauthorized", ++state.deferrals, error);
  }
  backOffPush(step, failure);
}

function isTooMuch(failure: Failure): failure is Unheard {
  return failure.kind !== "problem" && failure.mayBeTooMuch;
}

function record(step: Draft, request: number, place: Place, refused: readonly Refused[]): void {
  step.state.push = { kind: "recording", request, ...place };
  step.effects.push({ kind: "record", request, refused });
}

function backOffPush(step: Draft, failure: Failure): void {
  const { state } = step;
  const { error } = failure;
  const trouble = troubleOf(failure);
  state.push = { kind: "backing-off" };
  // Somebody has answered, or a page that is requested now shows whether the edge can be reached at all.
  const isReached = trouble === "offline" && (failure.kind !== "nothing" || state.settings.automatic);
  setProblem(step, { push: { trouble: isReached ? null : trouble, error } });
  pause(step, "push", trouble, ++state.strikes, error);
  fail(step, error);
  wantPull(step);
}

function pause(step: Draft, timer: Timer, trouble: Trouble, failures: number, { details }: HeadwaterError): void {
  wait(step, timer, backoff(BACKOFFS[trouble], failures, step.random, details.retryAfter));
}

/** All waiting calls fail. Work that does not depend on a call continues. */
function fail({ state, effects }: Draft, error: HeadwaterError): void {
  if (state.calls.length === 0) return;
  state.calls = [];
  effects.push({ kind: "failed", upToCall: state.lastCall, error });
}

function read(step: Draft, covers: number, after: number): void {
  const request = ++step.state.requests;
  step.state.push = { kind: "reading", request, covers, after };
  step.effects.push({ kind: "read-outbox", request, after });
}

/** Invariant A: entries that were skipped may be sent now. The outbox is read from the beginning, so that they go before later ones. */
function readAnew(step: Draft): void {
  const { state } = step;
  const { push } = state;
  wantPush(step);
  if (push.kind === "reading") read(step, push.covers, 0);
  else if (push.kind === "recording") state.push = { ...push, after: 0 };
  else if (push.kind === "sending") state.push = { ...push, isOvertaken: true };
}

/**
 * Entries that left the outbox are no longer awaited, and entries that have moved are no longer contested. If the oldest awaited entry is
 * among them, the log does not lag.
 */
function forget({ state }: Draft, left: readonly number[], changed: readonly number[]): void {
  const [oldest] = state.awaited.keys();
  if (oldest === undefined) return;
  const kept = new Map(state.awaited);
  for (const seq of left) kept.delete(seq);
  for (const seq of changed) if (kept.get(seq)?.kind === "contested") kept.delete(seq);
  state.awaited = kept;
  if (!kept.has(oldest)) state.lags = 0;
}

function wantPull({ state }: Draft): void {
  state.wanted.pull++;
}

function wantPush({ state }: Draft): void {
  state.wanted.push++;
}

function wait({ effects }: Draft, timer: Timer, milliseconds: number): void {
  effects.push({ kind: "wait", timer, milliseconds });
}

export interface LinkStatus {
  readonly connection: "connecting" | "online" | Trouble;
  /** The error that prevents syncing; null if there is none. */
  readonly problem: HeadwaterError | null;
}

/** The state of the connection to the edge, for the store's status. */
export function linkStatusOf({ link, problems }: SyncState): LinkStatus {
  if (link.kind !== "open" && link.outage !== null) return { connection: link.outage.trouble, problem: link.outage.error };
  const { page, push, deferred, waiting, feedSocket } = problems;
  return {
    connection: push?.trouble ?? (link.kind === "open" ? "online" : "connecting"),
    problem: page ?? waiting ?? pushProblemOf(push, deferred) ?? feedSocket,
  };
}

/**
 * A push that fails for the reason for which streams are deferred is most often one of theirs, and the deferral names the stream. Any other
 * failure is newer: the way to the edge has changed since, for all streams.
 */
function pushProblemOf(push: Problems["push"], deferred: HeadwaterError | null): HeadwaterError | null {
  if (push === null || deferred === null) return push?.error ?? deferred;
  const isSame = push.trouble === null && messageOf(deferred.cause) === push.error.message;
  return isSame ? deferred : push.error;
}

function setProblem({ state }: Draft, change: Partial<Problems>): void {
  state.problems = { ...state.problems, ...change };
}

/** A failure that the device has found itself. */
function problem(error: HeadwaterError): Failure {
  return { kind: "problem", error };
}

/** Only the edge itself says that it does not accept the credentials, or that it has another history. */
function troubleOf({ kind, error: { code } }: Failure): Trouble {
  if (kind !== "problem") return "offline";
  switch (remedyOf(code)) {
    case "authenticate":
      return "unauthorized";
    case "ask":
      return "diverged";
    default:
      return code === "forbidden" ? "unauthorized" : "offline";
  }
}
