/**
 * A subscription on a device: its record, and what it does next. It uses the rules of `subscription.ts`. In addition it reacts to changes
 * of the replica: the scope may get wider, and after a reset the device fetches the whole log again.
 *
 *     resumptionIn ──► continues ──► dueOf ──► look ───► afterLook ───► handler ──► afterHandOver
 *         │                            ├──► replay ─────────────────► handler ──► afterReplay
 *         │                            └──► wait, or nothing
 *         └── another copy of the log ──► compared by digest ──► continuedIn: continues there
 *                                                           └──► stoppedByOtherHistory
 *
 * Invariants (numbers of docs/architecture.md; those with letters are parts of 7):
 *  7. events that a wider scope added are handed over before the feed continues, with a checkpoint of their own. No checkpoint is used as
 *     a position of another history;
 *  7c. a step is not written if the record has changed since the step began, and its event comes again (`unlessOvertaken`). So a request
 *      that an operator makes meanwhile is not overwritten. And if a handler of a tab that has ended finishes late, the checkpoint does not
 *      move back. The result of a replay is written in any case.
 */
import { assert } from "../assert.ts";
import type { ConfirmedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import { NO_EVENTS, withEvent } from "../mark.ts";
import {
  afterFailed,
  afterHandled,
  afterPassed,
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

/** The record of a subscription. */
export interface DeviceSubscription {
  /** The device's copy of the log that these positions belong to (`same-copy.ts`). */
  readonly resets: number;
  /** The device's scope when the record was written. */
  readonly scope: Scope;
  /** The position after which it began. */
  readonly since: number;
  /**
   * A digest of the events since then that were handled or became dead letters (`withEvent`). It shows whether another copy of the log has
   * the same events.
   */
  readonly dealtWith: string;
  /**
   * Parts of the store in the order in which they are handed over: first the parts that a wider scope added, each up to the feed's
   * checkpoint of that time, then the feed.
   */
  readonly parts: readonly Part[];
  /** Why the handler failed last, or why the subscription stopped; null if neither. */
  readonly error: string | null;
  /** Nothing is handed over before this time: milliseconds of the device's clock. */
  readonly notBefore: number;
  readonly deadLetters: readonly DeadLetter[];
  /** Ids of dead letters that are to be replayed. */
  readonly replay: readonly string[];
  /** How often the record was written. */
  readonly writes: number;
}

/** A part of the store with a checkpoint of its own. */
export interface Part {
  readonly within: Scope;
  /** The scope that was handed over before: its events are not in this part. */
  readonly without?: Scope;
  /** The last position of the part. Null: the part is the feed and has no end. */
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

// The device's copy of the log.

/** How a subscription continues in the replica as it is now. */
export type Resumption =
  /** It has no record yet. */
  | { readonly kind: "begins" }
  | { readonly kind: "continues"; readonly subscription: DeviceSubscription }
  /** It waits: a backfill is not complete, or the new copy does not reach the checkpoint yet and the edge has more. */
  | { readonly kind: "fetching" }
  /** The copy is another one. Its events in this range, within the subscription's scope, are compared with the digest `dealtWith`. */
  | { readonly kind: "compare"; readonly subscription: DeviceSubscription; readonly after: number; readonly upTo: number };

/** @param subscription its record; undefined before the first time */
export function resumptionIn(subscription: DeviceSubscription | undefined, replica: Replica): Resumption {
  if (replica.backfills.length > 0) return { kind: "fetching" };
  if (subscription === undefined) return { kind: "begins" };
  if (isSameCopy(subscription, replica)) return { kind: "continues", subscription: partsWithin(subscription, replica) };
  const { checkpoint } = feedOf(subscription).progress;
  const isFetching = replica.log === null || replica.position < Math.min(checkpoint, replica.head);
  return isFetching ? { kind: "fetching" } : { kind: "compare", subscription, after: subscription.since, upTo: checkpoint };
}

/**
 * The subscription in a copy of the log that was fetched after a reset. It continues if the copy has, up to the checkpoint, exactly the
 * events that were handled or became dead letters. Otherwise it can't continue, and the result is undefined.
 *
 * @param held the digest of the copy's events that `compare` names
 */
export function continuedIn(subscription: DeviceSubscription, { position, resets }: Replica, held: string): DeviceSubscription | undefined {
  if (held !== subscription.dealtWith) return undefined;
  const feed = feedOf(subscription);
  const progress = { ...feed.progress, checkpoint: Math.min(feed.progress.checkpoint, position) };
  return { ...subscription, resets, parts: [...subscription.parts.slice(0, -1), { ...feed, progress }] };
}

/** Its positions have other events now, which the handler was not given. */
export function stoppedByOtherHistory(subscription: DeviceSubscription): DeviceSubscription {
  const { part, rest } = firstOf(subscription);
  if (part.progress.isStopped) return subscription;
  const error = "The device follows another history. Call reset() to restart the subscription.";
  return { ...subscription, error, parts: [{ ...part, progress: stopped(part.progress) }, ...rest] };
}

/** If the scope got wider since the record was written, the events that it added are handed over first, up to the feed's checkpoint. */
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

// What to do next.

export type Due =
  /** Nothing to do until the device holds more events, or an operator requests something. */
  | { readonly kind: "nothing" }
  | { readonly kind: "wait"; readonly milliseconds: number }
  /** Hand a dead letter over again. Its stream is undefined if it is not in the list any more. */
  | { readonly kind: "replay"; readonly id: string; readonly streamId: string | undefined }
  /** Find the first event of the filter and of the part, after the position `after` (exclusive) and up to `upTo` (inclusive). */
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

/** The result of a look. */
export interface Found {
  readonly event?: Handed;
  /** The position of the event. Without an event: no event of the filter was found up to this position. */
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
 * @param failure why the handler failed on the event; null if it handled it
 * @param random from 0 to below 1
 */
export function afterHandOver(
  subscription: DeviceSubscription,
  event: Handed,
  failure: string | null,
  { now, random }: { readonly now: number; readonly random: number },
  policy: SubscriptionPolicy,
): DeviceSubscription {
  const { progress } = firstOf(subscription).part;
  if (failure === null) {
    const dealtWith = withEvent(subscription.dealtWith, event.id);
    // It may be a dead letter from before the subscription was reset.
    const deadLetters = withoutOne(subscription.deadLetters, event.id);
    return { ...proceeded(subscription, afterHandled(progress, batchOf(event))), error: null, deadLetters, dealtWith };
  }
  const failed = afterFailed(progress, batchOf(event));
  return { ...proceeded(subscription, failed), error: failure, notBefore: now + waitAfter(failed, policy, random) };
}

/**
 * If the handler fails again, the event stays a dead letter, with the new reason.
 *
 * @param subscription the record as it is now, even if it has changed since the replay began
 * @param failure why the handler failed on the event; null if it handled it
 */
export function afterReplay(subscription: DeviceSubscription, id: string, failure: string | null): DeviceSubscription {
  const replay = subscription.replay.filter((wanted) => wanted !== id);
  const deadLetters =
    failure === null
      ? withoutOne(subscription.deadLetters, id)
      : subscription.deadLetters.map((item) => (item.id === id ? { ...item, error: failure } : item));
  return written({ ...subscription, deadLetters, replay });
}

/**
 * What is written after a step: its result, unless the record has changed since it was read.
 *
 * @param next the result of the step
 * @param now the record in the transaction that writes; undefined before the first
 */
export function unlessOvertaken(next: DeviceSubscription, now: DeviceSubscription | undefined): DeviceSubscription {
  return now === undefined || now.writes === next.writes ? written(next) : now;
}

// What an operator can request.

/** Replays dead letters: all of them, or the events of these ids. */
export function afterReplayRequest(subscription: DeviceSubscription, ids?: readonly string[]): DeviceSubscription {
  const replay = subscription.deadLetters.map(({ id }) => id).filter((id) => ids?.includes(id) ?? true);
  return written({ ...subscription, replay });
}

/** Continues a subscription that has stopped. One that waits continues at once. */
export function afterResume(subscription: DeviceSubscription): DeviceSubscription {
  const parts = subscription.parts.map((part) => ({ ...part, progress: resumed(part.progress) }));
  return written({ ...subscription, notBefore: 0, parts });
}

/** Restarts the subscription in the history that the device follows now. The dead letters stay. */
export function afterReset({ deadLetters, writes }: DeviceSubscription, replica: Replica, from: Beginning): DeviceSubscription {
  return written({ ...begun(replica, from), deadLetters, writes });
}

function written(subscription: DeviceSubscription): DeviceSubscription {
  return { ...subscription, writes: subscription.writes + 1 };
}

/** The last part, which has no end. */
function feedOf({ parts }: DeviceSubscription): Part {
  const feed = parts.at(-1);
  assert(feed !== undefined, "the feed is a part of every subscription");
  return feed;
}

/** The part that is handed over now. */
function firstOf({ parts }: DeviceSubscription): { part: Part; rest: readonly Part[] } {
  const [part, ...rest] = parts;
  assert(part !== undefined, "the feed is a part of every subscription");
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
