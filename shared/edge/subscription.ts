/**
 * The state of a subscription at the edge: its log, its progress, and the next state after each thing that happens to it.
 *
 *     notified of news ──► read on after what was read ──► no event of its filter: skipped
 *                            │        │                └─► events: handled, or failed and to wait, or dead letters
 *                            │        └── not the log that it followed: stopped, until an operator resets it
 *                            └── not before a wait is over
 *
 * The rules of `subscription.ts` decide what happens after a failure.
 *
 * Invariants (numbers of docs/architecture.md; those with letters are parts of 7):
 *  7.  the events after the checkpoint are read with the log's id and with its mark at the checkpoint: another history stops the
 *      subscription;
 *  7b. news does not shorten a wait.
 */
import { unreachable } from "../assert.ts";
import { LogMismatchError, PositionAheadError, StorageDamagedError } from "../errors.ts";
import { START_MARK } from "../mark.ts";
import {
  afterFailed,
  afterHandled,
  afterPassed,
  type Batch,
  isToBeNoted,
  messageOfFailure,
  type Progress,
  resumed,
  type SubscriptionPolicy,
  type SubscriptionState,
  type SubscriptionStep,
  startAt,
  stopped,
  waitAfter,
} from "../subscription.ts";

export interface EdgeSubscription {
  /** The id of the log that it follows. */
  readonly log: string;
  /** The log's mark at the checkpoint; null if it is not known yet. */
  readonly mark: string | null;
  readonly progress: Progress;
  /** Milliseconds since 1970 before which failed events are not handed over again; null if nothing waits. */
  readonly retryAt: number | null;
  /** Why the handler failed last, or why the subscription stopped; null if neither. */
  readonly error: string | null;
  /** The position up to which its log was restored from a backup, if the subscription has taken note of that. */
  readonly restoredUpTo?: number;
  /** The events that the handler has, if that was stored before it got them; null or undefined if it was not. */
  readonly handed?: Batch | null;
}

/** A position of the log, and the log's mark at this position; the mark is null if it is not known. */
export interface LogPlace {
  readonly position: number;
  readonly mark: string | null;
}

/** What the log sends about itself. */
export interface LogEnd {
  readonly log: string;
  readonly head: number;
  /** The log's mark at the head; undefined from a log of a version that did not send it. */
  readonly mark?: string | undefined;
}

/** How many positions are skipped before the new checkpoint is written: reading them again costs less than writing a row for each. */
const SKIPPED_AT_LEAST = 1_000;

export function subscriptionAt(log: string, position: number): EdgeSubscription {
  return { log, mark: position === 0 ? START_MARK : null, progress: startAt(position), retryAt: null, error: null, handed: null };
}

/** An operator resets it: it follows the current log, after a position. */
export function movedTo<S extends EdgeSubscription>(subscription: S, log: string, position: number): S {
  return { ...subscription, ...subscriptionAt(log, position) };
}

/**
 * Up to which position a reset keeps dead letters. Later events are delivered again. Another log does not have the events of any dead
 * letter, so none is kept.
 */
export function deadLettersKeptUpTo(subscription: EdgeSubscription, log: string, position: number): number {
  return subscription.log === log ? position : 0;
}

/**
 * The place up to which the log was read: the checkpoint, or `skipped` if it is further.
 *
 * @param skipped the place, in memory, up to which no event after the checkpoint matches the filter; undefined if it is not known
 */
export function readUpTo({ progress: { checkpoint }, mark }: EdgeSubscription, skipped: LogPlace | undefined): LogPlace {
  return skipped !== undefined && skipped.position > checkpoint ? skipped : { position: checkpoint, mark };
}

/**
 * When to read the log after it has sent its end, in milliseconds since 1970; null if there is nothing to read. If a log was restored and
 * has grown to the same position since, it has another mark there.
 *
 * @param read the place up to which the log was read
 */
export function wakeTime(subscription: EdgeSubscription, read: LogPlace, { log, head, mark }: LogEnd, now: number): number | null {
  if (subscription.progress.isStopped || (log === subscription.log && head === read.position && mark === read.mark)) return null;
  return Math.max(now, subscription.retryAt ?? 0);
}

/** Until when nothing is handed over; null if there is no wait. */
export function waitsUntil({ retryAt }: EdgeSubscription, now: number): number | null {
  return retryAt !== null && retryAt > now ? retryAt : null;
}

/** The query for the events after a place. The log rejects it if it is another log, or has another history. */
export function readBehind({ log }: EdgeSubscription, { position, mark }: LogPlace): { after: number; log?: string; mark?: string } {
  return { after: position, log, ...(mark === null ? {} : { mark }) };
}

/**
 * Whether there may be more events to read.
 *
 * @param head the log's head in its last page
 * @param heard the furthest head of which the log has notified since that page was requested
 */
export function hasMore({ position }: LogPlace, head: number, heard: number): boolean {
  return heard > head || position < head;
}

/** Why a subscription can't read on: it is another log, a log that ends before what was read, or a damaged one. */
export type UnreadableLog = LogMismatchError | PositionAheadError | StorageDamagedError;

export function isUnreadableLog(error: unknown): error is UnreadableLog {
  return error instanceof LogMismatchError || error instanceof PositionAheadError || error instanceof StorageDamagedError;
}

/** It stops, until an operator resets or resumes it. @param read the place up to which the log was read */
export function afterUnreadableLog<S extends EdgeSubscription>(subscription: S, { position }: LogPlace, error: UnreadableLog): S {
  const message =
    error instanceof PositionAheadError && error.details.head !== undefined
      ? `The subscription has read the log up to position ${position}, and the log ends at ${error.details.head}: it was put back to an older copy. Reset the subscription to a position of the log.`
      : messageOfFailure(error);
  return { ...subscription, progress: stopped(subscription.progress), retryAt: null, error: message };
}

/**
 * The log was restored from a backup. A subscription that has not reached its end stops there: the events may have been handled when they
 * were first recorded, and a mail is not sent again. An operator resumes it, which continues after them, or resets it.
 *
 * @returns the same subscription if it has taken note of the restore already
 */
export function afterRestore<S extends EdgeSubscription>(subscription: S, log: string, restoredUpTo: number): S {
  if (restoredUpTo <= (subscription.restoredUpTo ?? 0)) return subscription;
  const noted = { ...subscription, restoredUpTo };
  // If it followed another log, it stops for that.
  if (subscription.log !== log || subscription.progress.checkpoint >= restoredUpTo) return noted;
  const error = `The store was restored from a backup up to position ${restoredUpTo}, and this subscription has not handled all of it. Resume it to continue after that, or reset it to the position after which the events are to be handled again.`;
  return { ...noted, mark: null, progress: stopped(startAt(restoredUpTo)), retryAt: null, error, handed: null };
}

/** Whether to write that no event of the filter was found up to `position`: only after 1,000 positions. */
export function isWorthWriting({ progress: { checkpoint } }: EdgeSubscription, position: number): boolean {
  return position - checkpoint >= SKIPPED_AT_LEAST;
}

export function afterSkipped<S extends EdgeSubscription>(subscription: S, { position, mark }: LogPlace): S {
  return { ...subscription, mark, progress: afterPassed(subscription.progress, position) };
}

/** @param mark the log's mark after the batch */
export function afterBatch<S extends EdgeSubscription>(subscription: S, batch: Batch, mark: string | null): S {
  return { ...subscription, mark, progress: afterHandled(subscription.progress, batch), retryAt: null, error: null, handed: null };
}

/** The same subscription, if nothing has to be stored before the handler gets the events. */
export function beforeHandOver<S extends EdgeSubscription>(subscription: S, batch: Batch): S {
  return isToBeNoted(subscription.progress, batch) ? { ...subscription, handed: batch } : subscription;
}

/** Must be followed by `settled`, which decides what happens next. */
export function afterFailure<S extends EdgeSubscription>(subscription: S, batch: Batch, error: string): S {
  return { ...subscription, progress: afterFailed(subscription.progress, batch), error, handed: null };
}

/**
 * The platform killed its alarm. This counts as a failure, on the events that the handler had if that was stored. Else it is not known
 * whether the handler had any.
 *
 * @param now milliseconds since 1970
 * @param random from 0 to below 1
 */
export function afterKill<S extends EdgeSubscription>(
  subscription: S,
  policy: SubscriptionPolicy,
  error: string,
  now: number,
  random: number,
): S {
  if (subscription.progress.isStopped) return subscription;
  const progress = afterFailed(subscription.progress, subscription.handed ?? undefined);
  return { ...subscription, progress, retryAt: now + waitAfter(progress, policy, random), error, handed: null };
}

/**
 * What happens to events that the handler failed on. If they become dead letters, the result is written in one transaction with them.
 *
 * @param mark the log's mark after these events
 * @param now milliseconds since 1970
 * @param random from 0 to below 1
 */
export function settled<S extends EdgeSubscription>(
  subscription: S,
  step: SubscriptionStep,
  policy: SubscriptionPolicy,
  { mark, now, random }: { readonly mark: string | null; readonly now: number; readonly random: number },
): S {
  switch (step.kind) {
    case "hand-over":
      return { ...subscription, retryAt: now + waitAfter(subscription.progress, policy, random) };
    case "take-apart":
    case "stop":
      return { ...subscription, progress: step.progress, retryAt: null };
    case "dead-letter":
      return { ...subscription, mark, progress: step.progress, retryAt: null, error: null };
    default:
      return unreachable(step);
  }
}

/** Continues a subscription that has stopped. One that waits continues at once. */
export function afterResume<S extends EdgeSubscription>(subscription: S): S {
  return { ...subscription, progress: resumed(subscription.progress), retryAt: null, error: null, handed: null };
}

/** The dead letter after it was replayed, with the new reason; null if the event was handled. @param at ISO 8601 UTC */
export function afterReplay<E>(event: E, error: string | null, at: string): (E & { readonly error: string; readonly at: string }) | null {
  return error === null ? null : { ...event, error, at };
}

export function stateOf({ progress: { isStopped }, retryAt }: EdgeSubscription): SubscriptionState {
  if (isStopped) return "stopped";
  return retryAt === null ? "running" : "waiting";
}
