/**
 * Sync as a machine: `(state, input) → (state, effects)`. It is total: any input may come in any state, also late, twice or
 * never, and what no longer matters changes nothing. The shell (`client/sync/session.ts`) performs the effects against IndexedDB and the edge, the
 * simulation (`test/simulation/`) against a hostile world; each effect that asks for something carries a number, and its answer the same one.
 *
 * Two lanes, each with one thing under way at most, so that a push that hangs does not hold up what others did:
 *
 *     pull   resting ──► asking ──► applying ──► resting (or asks on, where the page was not the last)
 *                ▲          │          └── storage failed ──► backing off ── timer ──► resting
 *                └── failed ┘ and the link is down
 *            resting, in step ──► listening ── a page came ──► applying
 *                                     └── a page is wanted ──► asking
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
 * Listening asks for nothing that anybody waits for: it takes what the edge tells by itself, on a live connection where the shell has
 * one, and whatever is wanted goes before it. So a connection that tells nothing, or only seems to be there, costs time and no more.
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
import { assert } from "../assert.ts";
import { type Backoff, backoff } from "../backoff.ts";
import { type HeadwaterError, LogMismatchError, remedyOf, UnavailableError } from "../errors.ts";
import type { FeedPage, FeedQuery, PushAnswer } from "../wire/wire.ts";
import type { PendingEntry } from "./outbox.ts";
import { judgePush, nextPush, type PushBounds, type Refused, rejection } from "./push.ts";
import { nextPage, type PageRequest, pageQuery, type Replica } from "./replica.ts";

export interface SyncSettings {
  /** Whether it works by itself, or only for those who ask. */
  readonly automatic: boolean;
  /** Events of a page at most. */
  readonly pageEvents: number;
  readonly push: PushBounds;
  /** Milliseconds after which the feed is asked again where nothing else has asked. */
  readonly pollEvery: number;
  /** Whether there may be a live connection, on which the edge tells of what is new. */
  readonly feedSocket: boolean;
}

/** How the edge is, as far as the last answer told. */
export type Link =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  | { readonly kind: "down"; readonly trouble: Trouble; readonly error: HeadwaterError };

export type Trouble = "offline" | "unauthorized" | "diverged";

export type PullLane =
  | { readonly kind: "resting" }
  | { readonly kind: "requesting"; readonly request: number; readonly covers: number; readonly page: PageRequest }
  | { readonly kind: "listening"; readonly request: number; readonly covers: number; readonly page: PageRequest }
  | { readonly kind: "applying"; readonly request: number; readonly covers: number }
  | { readonly kind: "backing-off"; readonly error: HeadwaterError };

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
  /** Something that was passed over may be sent again. */
  readonly isOvertaken: boolean;
}

/** An entry that the edge has answered and the feed is yet to explain. */
export interface Awaited {
  readonly streamId: string;
  readonly kind: "taken" | "contested";
}

/** Someone waits for everything to be in step, as of then. */
export interface SyncCall {
  readonly number: number;
  readonly pull: number;
  readonly push: number;
}

export interface SyncState {
  readonly settings: SyncSettings;
  /** As storage has it. */
  readonly replica: Replica;
  readonly link: Link;
  readonly pull: PullLane;
  readonly push: PushLane;
  /** How often each lane was asked to work, and up to which of these it has. */
  readonly wanted: Lanes;
  readonly done: Lanes;
  /** By `seq`, those that have waited longest first. */
  readonly awaited: ReadonlyMap<number, Awaited>;
  /** Streams whose commit the edge failed at again and again: passed over for a while. */
  readonly deferred: ReadonlySet<string>;
  /** They are to be tried again, when everything else was sent. */
  readonly isDeferredDue: boolean;
  /** Commits of a push at most, and events of a page: halved while too much is too much. */
  readonly pushCommits: number;
  readonly pageEvents: number;
  /** In a row: pulls that failed, pushes that failed, times that a stream was set aside, looks that did not bring the oldest awaited. */
  readonly failures: number;
  readonly strikes: number;
  readonly deferrals: number;
  readonly lags: number;
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
  /** Characters of its events as JSON. */
  readonly size: number;
}

export type Timer = "pull" | "push" | "deferred" | "poll" | "lag";

export type SyncInput =
  /** Something was added to the outbox, by any tab. */
  | { readonly kind: "appended" }
  /** Someone waits until all is in step. */
  | { readonly kind: "called" }
  /** The network may be back, the page is looked at again, there is a new token. */
  | { readonly kind: "woken" }
  | { readonly kind: "timer"; readonly timer: Timer }
  | { readonly kind: "page-received"; readonly request: number; readonly page: FeedPage }
  | { readonly kind: "pull-failed"; readonly request: number; readonly error: HeadwaterError }
  /** @param left entries that are pending no more; `changed` ones have moved */
  | {
      readonly kind: "page-applied";
      readonly request: number;
      readonly replica: Replica;
      readonly left: readonly number[];
      readonly changed: readonly number[];
    }
  /** Storage stands elsewhere than the page was asked for from. */
  | { readonly kind: "page-stale"; readonly request: number; readonly replica: Replica }
  /** @param isEnd nothing stands behind the last of them */
  | { readonly kind: "outbox-read"; readonly request: number; readonly unsent: readonly Unsent[]; readonly isEnd: boolean }
  | { readonly kind: "push-answered"; readonly request: number; readonly answer: PushAnswer }
  | { readonly kind: "push-failed"; readonly request: number; readonly error: HeadwaterError }
  | { readonly kind: "refusals-recorded"; readonly request: number; readonly left: readonly number[] }
  | { readonly kind: "storage-failed"; readonly request: number; readonly error: HeadwaterError }
  /** The device follows more of the store, or less. */
  | { readonly kind: "scope-changed"; readonly replica: Replica };

export type SyncEffect =
  | { readonly kind: "pull"; readonly request: number; readonly query: FeedQuery }
  | { readonly kind: "listen"; readonly request: number; readonly query: FeedQuery }
  | { readonly kind: "apply"; readonly request: number; readonly page: FeedPage; readonly pageRequest: PageRequest }
  | { readonly kind: "read-outbox"; readonly request: number; readonly after: number }
  | { readonly kind: "push"; readonly request: number; readonly batch: readonly PendingEntry[]; readonly replica: Replica }
  | { readonly kind: "record"; readonly request: number; readonly refused: readonly Refused[] }
  /** Takes the place of a wait with the same name. */
  | { readonly kind: "wait"; readonly timer: Timer; readonly milliseconds: number }
  /** Everyone who asked up to this number has what they asked for. */
  | { readonly kind: "settled"; readonly upToCall: number }
  | { readonly kind: "failed"; readonly upToCall: number; readonly error: HeadwaterError };

export interface Step {
  readonly state: SyncState;
  readonly effects: readonly SyncEffect[];
}

/** Waits for a log to bring what its streams took, in milliseconds: each is twice as long, and after some everything is sent again. */
const FIRST_LAG = 20;
/** Where the edge tells by itself, most often it has told by then. */
const SOCKET_LAG = 500;
const LONGEST_LAG = 60_000;
const LAGS = 8;
/** How often the same push may fail for no known reason before less is sent. */
const STRIKES = 3;

const BACKOFFS: Readonly<Record<Trouble, Backoff>> = {
  offline: { first: 300, longest: 30_000 },
  unauthorized: { first: 2_000, longest: 60_000 },
  // Somebody has to decide; but an edge that was mended is found again without a reload.
  diverged: { first: 10_000, longest: 60_000 },
};

/** A tab begins to lead. What another one had under way shows as duplicates. */
export function startSync(settings: SyncSettings, replica: Replica): SyncState {
  const wanted = { pull: settings.automatic ? 1 : 0, push: settings.automatic ? 1 : 0 };
  return {
    settings,
    replica,
    link: { kind: "connecting" },
    pull: { kind: "resting" },
    push: { kind: "resting" },
    wanted,
    done: { pull: 0, push: 0 },
    awaited: new Map(),
    deferred: new Set(),
    isDeferredDue: false,
    pushCommits: settings.push.commits,
    pageEvents: settings.pageEvents,
    failures: 0,
    strikes: 0,
    deferrals: 0,
    lags: 0,
    isLagTimed: false,
    calls: [],
    lastCall: 0,
    requests: 0,
  };
}

/** @param random from 0 to below 1, drawn for this call: it spreads waits */
export function advance(state: SyncState, input: SyncInput, random: number): Step {
  const step: Draft = { state: { ...state, wanted: { ...state.wanted }, done: { ...state.done } }, effects: [], random };
  take(step, input);
  startPull(step);
  startPush(step);
  watchLag(step);
  settle(step);
  return step;
}

/** A step under way: the state as it changes, and the effects as they come up. */
interface Draft {
  readonly state: { -readonly [K in keyof SyncState]: SyncState[K] } & { readonly wanted: Counts; readonly done: Counts };
  readonly effects: SyncEffect[];
  readonly random: number;
}

function take(step: Draft, input: SyncInput): void {
  const { state } = step;
  const { pull, push } = state;
  // An answer to anything but what is under way comes too late.
  const request = "request" in input ? input.request : 0;
  const isPulls = "request" in pull && pull.request === request;
  const isPushs = "request" in push && push.request === request;
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
      if (isPulls && (pull.kind === "requesting" || pull.kind === "listening")) onPage(step, pull, input.page);
      return;
    case "pull-failed":
      if (isPulls && pull.kind === "requesting") onPullFailed(step, input.error);
      return;
    case "page-applied":
      if (isPulls && pull.kind === "applying") onApplied(step, pull.covers, input);
      return;
    case "page-stale":
      if (!isPulls || pull.kind !== "applying") return;
      state.replica = input.replica;
      state.pull = RESTING;
      return;
    case "outbox-read":
      if (isPushs && push.kind === "reading") onRead(step, push, input.unsent, input.isEnd);
      return;
    case "push-answered":
      if (isPushs && push.kind === "sending") onAnswer(step, push, input.answer);
      return;
    case "push-failed":
      if (isPushs && push.kind === "sending") onPushFailed(step, push, input.error);
      return;
    case "refusals-recorded":
      if (!isPushs || push.kind !== "recording") return;
      forget(step, input.left, []);
      return read(step, push.covers, push.after);
    case "storage-failed":
      if (isPulls) onPageFailed(step, input.error);
      if (isPushs) backOffPush(step, input.error);
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
  read(step, wanted.push, 0);
}

/** What the edge has answered is not in the feed: the log behind it lags, and is looked at again. */
function watchLag(step: Draft): void {
  const { state } = step;
  const { pull, push, link, awaited, wanted, done, lags } = state;
  if (awaited.size === 0 || state.isLagTimed || push.kind === "sending" || !isActive(state)) return;
  if ((pull.kind !== "resting" && pull.kind !== "listening") || link.kind === "down" || done.pull < wanted.pull) return;
  state.isLagTimed = true;
  wait(step, "lag", Math.min(LONGEST_LAG, (pull.kind === "listening" ? SOCKET_LAG : FIRST_LAG) * 2 ** lags));
}

/** Tells those who waited for what is now done. */
function settle({ state, effects }: Draft): void {
  const { calls, done, awaited, deferred } = state;
  if (awaited.size > 0 || deferred.size > 0) return;
  const settled = calls.filter((call) => call.pull <= done.pull && call.push <= done.push).at(-1);
  if (settled === undefined) return;
  state.calls = calls.filter((call) => call.number > settled.number);
  effects.push({ kind: "settled", upToCall: settled.number });
}

/** A store that syncs only when asked does so as long as someone waits. */
function isActive({ settings, calls }: SyncState): boolean {
  return settings.automatic || calls.length > 0;
}

/** At once, whatever is being waited for. */
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
      if (state.link.kind === "down") state.link = { kind: "connecting" };
      return;
    case "push":
      if (state.push.kind === "backing-off") state.push = RESTING;
      return;
    case "deferred":
      if (state.deferred.size === 0) return;
      state.isDeferredDue = true;
      return wantPush(step);
    case "poll":
      // The outbox too: that another tab has appended may never have been told.
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
  state.awaited = new Map();
  readAnew(step);
  fail(step, new UnavailableError("The feed lags."));
}

function onPage(
  step: Draft,
  { request, covers, page: pageRequest }: PullLane & { kind: "requesting" | "listening" },
  page: FeedPage,
): void {
  const { state } = step;
  const { log } = state.replica;
  // The edge compares where it is told; an answer is compared all the same, before anything of it is kept.
  if (log !== null && log !== page.log) return onPullFailed(step, new LogMismatchError(undefined, { log: page.log }));
  if (page.position < pageRequest.after || (page.position === pageRequest.after && page.position < page.head)) {
    return onPullFailed(step, new UnavailableError("The feed leads nowhere."));
  }
  state.link = { kind: "open" };
  state.failures = 0;
  state.pull = { kind: "applying", request, covers };
  step.effects.push({ kind: "apply", request, page, pageRequest });
}

function onApplied(step: Draft, covers: number, { replica, left, changed }: SyncInput & { kind: "page-applied" }): void {
  const { state } = step;
  const { settings, push } = state;
  state.replica = replica;
  state.failures = 0;
  state.pull = RESTING;
  state.pageEvents = Math.min(settings.pageEvents, state.pageEvents * 2);
  if (replica.backfills.length === 0 && replica.position >= replica.head) {
    state.done.pull = covers;
    if (settings.automatic) wait(step, "poll", settings.pollEvery);
  }
  const isMoved = changed.length > 0 || left.some((seq) => state.awaited.get(seq)?.kind === "contested");
  forget(step, left, changed);
  if (push.kind === "sending") state.push = { ...push, touched: new Set([...push.touched, ...left, ...changed]) };
  if (push.kind === "recording" && left.length > 0) state.push = { ...push, after: 0 };
  // What was read may have been read before the page was written.
  if (push.kind === "reading" && left.length > 0) read(step, push.covers, push.after);
  if (!isMoved) return;
  readAnew(step);
  // What has moved, or stood behind it, may be what somebody waits for.
  state.calls = state.calls.map((call) => ({ ...call, push: state.wanted.push }));
}

function onPullFailed(step: Draft, error: HeadwaterError): void {
  const { state } = step;
  const trouble = troubleOf(error);
  state.link = { kind: "down", trouble, error };
  state.pull = RESTING;
  pause(step, "pull", trouble, ++state.failures, error);
  fail(step, error);
}

/** A smaller page may still find room, and settling makes some. */
function onPageFailed(step: Draft, error: HeadwaterError): void {
  const { state } = step;
  state.pull = { kind: "backing-off", error };
  state.pageEvents = Math.ceil(state.pageEvents / 2);
  pause(step, "pull", "offline", ++state.failures, error);
  fail(step, error);
}

interface Place {
  readonly covers: number;
  readonly after: number;
}

/** @param isEnd nothing stands behind the last of them */
function onRead(step: Draft, { covers, after }: Place, unsent: readonly Unsent[], isEnd: boolean): void {
  const { state } = step;
  const { awaited, deferred, settings, pushCommits } = state;
  if (state.link.kind !== "open") {
    state.push = RESTING;
    return;
  }
  // Invariant A.
  const blocked = new Set(deferred);
  for (const { kind, streamId } of awaited.values()) if (kind === "contested") blocked.add(streamId);
  const sendable = unsent.filter(({ entry }) => !awaited.has(entry.seq) && !blocked.has(entry.streamId));
  const items = nextPush(sendable, { ...settings.push, commits: pushCommits });
  if (items.length > 0) return send(step, covers, items, sendable.slice(items.length));
  if (!isEnd) return read(step, covers, unsent.at(-1)?.entry.seq ?? after);
  if (state.isDeferredDue) return takeBack(step, covers);
  state.push = RESTING;
  state.done.push = covers;
  if (deferred.size === 0) state.deferrals = 0;
  if (awaited.size === 0) state.lags = 0;
  // One look for all that was sent: asking after each push would make many small pages. Who listens is told.
  else if (state.pull.kind !== "listening") wantPull(step);
}

/** One commit at a time, until one is taken; and last, or who asks for it again and again would have nothing else sent. */
function takeBack(step: Draft, covers: number): void {
  const { state } = step;
  state.deferred = new Set();
  state.isDeferredDue = false;
  state.pushCommits = 1;
  read(step, covers, 0);
}

function send(step: Draft, covers: number, items: readonly Unsent[], rest: readonly Unsent[]): void {
  const { state } = step;
  const request = ++state.requests;
  const batch = items.map(({ entry }) => entry);
  state.push = { kind: "sending", request, covers, batch, rest, touched: new Set(), isOvertaken: false };
  step.effects.push({ kind: "push", request, batch, replica: state.replica });
}

function onAnswer(step: Draft, { batch, covers, rest, request, touched, isOvertaken }: Sending, answer: PushAnswer): void {
  const { state } = step;
  const { settings, replica } = state;
  // Invariant 10. What another log's streams took is awaited in vain, so it is not noted as taken.
  if (replica.log !== null && answer.log !== null && replica.log !== answer.log) {
    return backOffPush(step, new LogMismatchError(undefined, { log: answer.log }));
  }
  const { taken, contested, refused } = judgePush(batch, answer.results);
  const awaited = new Map(state.awaited);
  for (const { seq, streamId } of taken) if (!touched.has(seq)) awaited.set(seq, { streamId, kind: "taken" });
  for (const { seq, streamId } of contested) if (!touched.has(seq)) awaited.set(seq, { streamId, kind: "contested" });
  state.awaited = awaited;
  state.strikes = 0;
  state.pushCommits = settings.push.commits;
  if (contested.length > 0) wantPull(step);
  // What was skipped for a commit that stands in its way no more has its turn.
  const isAgain = isOvertaken || [...contested, ...refused.map(({ entry }) => entry)].some(({ seq }) => touched.has(seq));
  const place = { covers, after: isAgain ? 0 : (batch.at(-1)?.seq ?? 0) };
  if (refused.length > 0) return record(step, request, place, refused);
  if (isAgain || contested.length > 0 || rest.length === 0) return read(step, place.covers, place.after);
  return onRead(
    step,
    place,
    rest.filter(({ entry }) => !touched.has(entry.seq)),
    false,
  );
}

function onPushFailed(step: Draft, lane: Sending, error: HeadwaterError): void {
  const { state } = step;
  const { batch, covers, request, isOvertaken } = lane;
  const [first] = batch;
  assert(first !== undefined, "a push has at least one commit");
  const remedy = remedyOf(error.code);
  if (remedy === "retry") return onStrike(step, batch, first, error);
  // Nothing of a store that is full, or closed to these credentials, is a commit's fault.
  const isCommits = remedy !== "authenticate" && remedy !== "ask" && error.code !== "forbidden" && error.code !== "store-full";
  if (!isCommits) return backOffPush(step, error);
  if (batch.length > 1) {
    state.pushCommits = Math.ceil(batch.length / 2);
    return read(step, covers, isOvertaken ? 0 : first.seq - 1);
  }
  state.pushCommits = state.settings.push.commits;
  return record(step, request, { covers, after: isOvertaken ? 0 : first.seq }, [
    { entry: first, reason: rejection(error.code, error.message) },
  ]);
}

/** The same push is not sent for ever: after some strikes less of it, and in the end without what it fails at. */
function onStrike(step: Draft, batch: readonly PendingEntry[], first: PendingEntry, error: HeadwaterError): void {
  const { state } = step;
  const isOut = (state.strikes + 1) % STRIKES === 0;
  if (batch.length > 1) {
    if (isOut) state.pushCommits = Math.ceil(batch.length / 2);
  } else if (isOut || state.pushCommits === 1) {
    state.deferred = new Set([...state.deferred, first.streamId]);
    pause(step, "deferred", "unauthorized", ++state.deferrals, error);
  }
  backOffPush(step, error);
}

function record(step: Draft, request: number, place: Place, refused: readonly Refused[]): void {
  step.state.push = { kind: "recording", request, ...place };
  step.effects.push({ kind: "record", request, refused });
}

/** Whether the edge can be reached at all is for the pull to find out. */
function backOffPush(step: Draft, error: HeadwaterError): void {
  const { state } = step;
  const trouble = troubleOf(error);
  state.push = { kind: "backing-off", trouble, error };
  pause(step, "push", trouble, ++state.strikes, error);
  fail(step, error);
  wantPull(step);
}

function pause(step: Draft, timer: Timer, trouble: Trouble, failures: number, { details }: HeadwaterError): void {
  wait(step, timer, backoff(BACKOFFS[trouble], failures, step.random, (details.retryAfter ?? 0) * 1000));
}

/** Everyone who waits is told; what goes on by itself goes on. */
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

/** Invariant A: what was passed over may be sent again, so that what stands behind it has to wait until that was read. */
function readAnew(step: Draft): void {
  const { state } = step;
  const { push } = state;
  wantPush(step);
  if (push.kind === "reading") read(step, push.covers, 0);
  else if (push.kind === "recording") state.push = { ...push, after: 0 };
  else if (push.kind === "sending") state.push = { ...push, isOvertaken: true };
}

/** What left the outbox is awaited no more, and what has moved is contested no more. A log that brings the oldest does not lag. */
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
  /** What stands in the way, where something does. */
  readonly problem: HeadwaterError | null;
}

/** How the device stands to its edge, for people. */
export function linkStatusOf({ link, pull, push }: SyncState): LinkStatus {
  if (link.kind === "down") return { connection: link.trouble, problem: link.error };
  const problem = pull.kind === "backing-off" ? pull.error : null;
  if (push.kind === "backing-off") return { connection: push.trouble, problem: problem ?? push.error };
  return { connection: link.kind === "open" ? "online" : "connecting", problem };
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
