/**
 * A subscription on a device: what is kept of it, and what it does next. Beside the progress of `subscription.ts` it follows what becomes
 * of the device's copy of the log: more of the store may come to be followed, and a reset has all of it fetched again.
 *
 *     standingIn ──► goes on ──► dueOf ──► look ───► afterLook ───► handed over ──► afterHandOver
 *         │                        ├──► replay ─────────────────► handed over ──► afterReplay
 *         │                        └──► wait, or nothing
 *         └── another copy ──► compared by digest ──► continuedIn: goes on there
 *                                                └──► stoppedByHistory
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  7. what came to the device later is handed over before the feed goes on, by a checkpoint of its own; no checkpoint means positions
 *     of another history;
 *  7c. a step that began on what is not there any more is not taken, and what it was about comes again (`unlessOvertaken`): so neither is
 *      whoever asks something meanwhile overruled, nor does a handler that was ended, and answers late, take the checkpoint back. What
 *      came of a replay stands nevertheless.
 */
import { assert } from "../assert.ts";
import type { ConfirmedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import { NO_EVENTS, withEvent } from "../mark.ts";
import {
  afterHandled,
  afterPassed,
  afterRefused,
  type Beginning,
  beginningOf,
  type DeadLetter,
  nextStep,
  type Progress,
  resumed,
  type SubscriptionPolicy,
  type SubscriptionStatus,
  startAt,
  stopped,
  waitAfter,
  waitLeft,
} from "../subscription.ts";
import { NEW_REPLICA, type Replica, type Scope } from "./replica.ts";
import { isSameCopy } from "./same-copy.ts";
import { withScope } from "./scope.ts";

export interface DeviceSubscription {
  /** The device's copy of the log whose positions these are. */
  readonly resets: number;
  /** What the device followed when it was written. */
  readonly scope: Scope;
  /** The position behind which it began. */
  readonly since: number;
  /** A digest of the events that were dealt with since: by it another copy of the log is seen to hold the same (`withEvent`). */
  readonly dealtWith: string;
  /** Parts of the store in the order in which they are handed over: those that came later, up to where the feed stood, then the feed. */
  readonly parts: readonly Part[];
  /** Why the handler failed last, or why the subscription stopped; null if neither. */
  readonly error: string | null;
  /** The device's clock, before which nothing is handed over. */
  readonly notBefore: number;
  readonly deadLetters: readonly DeadLetter[];
  /** Ids of events that were set aside and are to be handed over again. */
  readonly replay: readonly string[];
  /** How often it was written. */
  readonly writes: number;
}

export interface Part {
  readonly within: Scope;
  /** What of it was handed over before. */
  readonly without?: Scope;
  /** Null: the feed, which goes on. */
  readonly upTo: number | null;
  readonly progress: Progress;
}

export function begun({ resets, scope, position }: Replica, from: Beginning): DeviceSubscription {
  const start = beginningOf(from, { since: position, head: position });
  return {
    resets,
    scope,
    since: start,
    dealtWith: NO_EVENTS,
    parts: [{ within: null, upTo: null, progress: startAt(start) }],
    error: null,
    notBefore: 0,
    deadLetters: [],
    replay: [],
    writes: 0,
  };
}

// The copy of the log.

export type Resumption =
  /** It is not known yet. */
  | { readonly kind: "begins" }
  | { readonly kind: "goes-on"; readonly subscription: DeviceSubscription }
  /** The device is still filling in what it follows besides, or fetching its new copy: it holds less than was dealt with, and the edge more. */
  | { readonly kind: "fetching" }
  /** The copy is another one: its events of this range, within the subscription's scope, are compared with what was dealt with. */
  | { readonly kind: "compare"; readonly subscription: DeviceSubscription; readonly after: number; readonly upTo: number };

/** @param subscription as it is kept; undefined before the first time */
export function resumptionIn(subscription: DeviceSubscription | undefined, replica: Replica): Resumption {
  if (replica.backfills.length > 0) return { kind: "fetching" };
  if (subscription === undefined) return { kind: "begins" };
  if (isSameCopy(subscription, replica)) return { kind: "goes-on", subscription: partsWithin(subscription, replica) };
  const { checkpoint } = feedOf(subscription).progress;
  const isFetching = replica.log === null || replica.position < Math.min(checkpoint, replica.head);
  return isFetching ? { kind: "fetching" } : { kind: "compare", subscription, after: subscription.since, upTo: checkpoint };
}

/**
 * A subscription in a copy of the log that was fetched after a reset: it goes on where that holds what was dealt with, and nothing else that
 * was due; undefined where it can't.
 *
 * @param held the digest of the events that were to be compared
 */
export function continuedIn(subscription: DeviceSubscription, { position, resets }: Replica, held: string): DeviceSubscription | undefined {
  if (held !== subscription.dealtWith) return undefined;
  const feed = feedOf(subscription);
  const progress = { ...feed.progress, checkpoint: Math.min(feed.progress.checkpoint, position) };
  return { ...subscription, resets, parts: [...subscription.parts.slice(0, -1), { ...feed, progress }] };
}

/** What is at its positions now it was not given. */
export function stoppedByHistory(subscription: DeviceSubscription): DeviceSubscription {
  const { part, rest } = firstOf(subscription);
  if (part.progress.isStopped) return subscription;
  const error = "The device follows another history; begin anew with reset().";
  return { ...subscription, error, parts: [{ ...part, progress: stopped(part.progress) }, ...rest] };
}

/** What the device follows besides since then is handed over first, up to where the feed was handed over. */
export function partsWithin(subscription: DeviceSubscription, replica: Replica): DeviceSubscription {
  if (sameJson(subscription.scope, replica.scope)) return subscription;
  const feed = feedOf(subscription);
  const { backfills } = withScope({ ...NEW_REPLICA, scope: subscription.scope, position: feed.progress.checkpoint }, replica.scope);
  const added = backfills.map(({ within, upTo }): Part => ({ within, without: subscription.scope, upTo, progress: startAt(0) }));
  return { ...subscription, scope: replica.scope, parts: [...subscription.parts.slice(0, -1), ...added, feed] };
}

export function statusOf(name: string, subscription: DeviceSubscription, { position: head }: Replica): SubscriptionStatus {
  const { checkpoint: position, isStopped, failures: attempts } = firstOf(subscription).part.progress;
  const isWaiting = !isStopped && attempts > 0;
  return {
    name,
    state: isStopped ? "stopped" : isWaiting ? "waiting" : "running",
    position,
    head,
    lag: Math.max(0, head - position),
    attempts,
    retryAt: isWaiting ? new Date(subscription.notBefore).toISOString() : null,
    error: subscription.error,
    deadLetters: subscription.deadLetters.length,
  };
}

// What is next.

export type Due =
  /** Until the device holds more, or somebody asks. */
  | { readonly kind: "nothing" }
  | { readonly kind: "wait"; readonly milliseconds: number }
  /** Hand over one that was set aside; its stream is not known where it stands in the list no more. */
  | { readonly kind: "replay"; readonly id: string; readonly streamId: string | undefined }
  /** Look for the first event of the filter, and of the part, behind `after`, exclusive, and up to `upTo`, inclusive. */
  | { readonly kind: "look"; readonly part: Part; readonly after: number; readonly upTo: number };

/** @param now the device's clock, milliseconds */
export function dueOf(subscription: DeviceSubscription, replica: Replica, now: number, policy: SubscriptionPolicy): Due {
  const [id] = subscription.replay;
  if (id !== undefined) return { kind: "replay", id, streamId: subscription.deadLetters.find((item) => item.id === id)?.streamId };
  const { part } = firstOf(subscription);
  if (part.progress.isStopped) return { kind: "nothing" };
  const milliseconds = waitLeft(subscription.notBefore, now, policy);
  if (milliseconds > 0) return { kind: "wait", milliseconds };
  const upTo = Math.min(part.upTo ?? replica.position, replica.position);
  return { kind: "look", part, after: part.progress.checkpoint, upTo };
}

/** What a look has found. */
export interface Found {
  readonly event?: Handed;
  /** Nothing of the filter stands before here; with an event, its position. */
  readonly end: number;
}

type Handed = Pick<ConfirmedEvent, "id" | "streamId" | "version" | "position" | "type">;

export type AfterLook =
  | { readonly kind: "nothing" }
  | { readonly kind: "hand-over" }
  | { readonly kind: "write"; readonly subscription: DeviceSubscription };

/** @param now the device's clock, milliseconds */
export function afterLook(subscription: DeviceSubscription, { event, end }: Found, now: number, policy: SubscriptionPolicy): AfterLook {
  const { part, rest } = firstOf(subscription);
  const { progress } = part;
  if (event === undefined) {
    if (part.upTo !== null && end >= part.upTo) return { kind: "write", subscription: { ...subscription, parts: rest } };
    if (end === progress.checkpoint) return { kind: "nothing" };
    return { kind: "write", subscription: proceeded(subscription, afterPassed(progress, end)) };
  }
  const step = nextStep(progress, policy, batchOf(event));
  switch (step.kind) {
    case "hand-over":
      return { kind: "hand-over" };
    case "dead-letter": {
      const deadLetters = [...withoutOne(subscription.deadLetters, event.id), deadLetterOf(event, subscription.error, now)];
      const dealtWith = withEvent(subscription.dealtWith, event.id);
      return { kind: "write", subscription: { ...proceeded(subscription, step.progress), deadLetters, dealtWith } };
    }
    case "take-apart":
    case "stop":
      return { kind: "write", subscription: proceeded(subscription, step.progress) };
    default:
      return step satisfies never;
  }
}

/**
 * @param refusal why the handler refused it; null where it took it
 * @param random from 0 to below 1
 */
export function afterHandOver(
  subscription: DeviceSubscription,
  event: Handed,
  refusal: string | null,
  { now, random }: { readonly now: number; readonly random: number },
  policy: SubscriptionPolicy,
): DeviceSubscription {
  const { progress } = firstOf(subscription).part;
  if (refusal === null) {
    const dealtWith = withEvent(subscription.dealtWith, event.id);
    // It may be in the list from before the subscription was begun anew.
    const deadLetters = withoutOne(subscription.deadLetters, event.id);
    return { ...proceeded(subscription, afterHandled(progress, batchOf(event))), error: null, deadLetters, dealtWith };
  }
  const refused = afterRefused(progress, batchOf(event));
  return { ...proceeded(subscription, refused), error: refusal, notBefore: now + waitAfter(refused, policy, random) };
}

/** One that is refused once more stays in the list. @param subscription as it is now, whatever has become of it meanwhile */
export function afterReplay(subscription: DeviceSubscription, id: string, refusal: string | null): DeviceSubscription {
  const replay = subscription.replay.filter((wanted) => wanted !== id);
  const told = subscription.deadLetters.map((item) => (item.id === id ? { ...item, error: refusal ?? item.error } : item));
  return written({ ...subscription, deadLetters: refusal === null ? withoutOne(told, id) : told, replay });
}

/**
 * What is written of a step.
 *
 * @param next made of what was read before
 * @param now as it stands in the transaction that writes; undefined before the first
 */
export function unlessOvertaken(next: DeviceSubscription, now: DeviceSubscription | undefined): DeviceSubscription {
  return now === undefined || now.writes === next.writes ? written(next) : now;
}

// What somebody asks of it.

/** Has what was set aside handed over again: all of it, or the events of these ids. */
export function afterReplayRequest(subscription: DeviceSubscription, ids?: readonly string[]): DeviceSubscription {
  const replay = subscription.deadLetters.map(({ id }) => id).filter((id) => ids?.includes(id) ?? true);
  return written({ ...subscription, replay });
}

/** Has it go on where it stopped, or at once where it waits. */
export function afterResume(subscription: DeviceSubscription): DeviceSubscription {
  const parts = subscription.parts.map((part) => ({ ...part, progress: resumed(part.progress) }));
  return written({ ...subscription, notBefore: 0, parts });
}

/** Has it begin anew in the history that the device follows now; what was set aside stays in the list. */
export function afterReset({ deadLetters, writes }: DeviceSubscription, replica: Replica, from: Beginning): DeviceSubscription {
  return written({ ...begun(replica, from), deadLetters, writes });
}

function written(subscription: DeviceSubscription): DeviceSubscription {
  return { ...subscription, writes: subscription.writes + 1 };
}

/** The part that goes on for ever. */
function feedOf({ parts }: DeviceSubscription): Part {
  const feed = parts.at(-1);
  assert(feed !== undefined, "a subscription has a part that goes on for ever");
  return feed;
}

/** The part whose turn it is. */
function firstOf({ parts }: DeviceSubscription): { part: Part; rest: readonly Part[] } {
  const [part, ...rest] = parts;
  assert(part !== undefined, "a subscription has a part that goes on for ever");
  return { part, rest };
}

function proceeded(subscription: DeviceSubscription, progress: Progress): DeviceSubscription {
  const { part, rest } = firstOf(subscription);
  return { ...subscription, parts: [{ ...part, progress }, ...rest] };
}

function batchOf({ position }: Handed): { readonly count: number; readonly upTo: number } {
  return { count: 1, upTo: position };
}

function withoutOne(deadLetters: readonly DeadLetter[], id: string): readonly DeadLetter[] {
  return deadLetters.some((item) => item.id === id) ? deadLetters.filter((item) => item.id !== id) : deadLetters;
}

function deadLetterOf({ id, streamId, version, position, type }: Handed, error: string | null, now: number): DeadLetter {
  return { id, streamId, version, position, type, error: error ?? "", at: new Date(now).toISOString() };
}
