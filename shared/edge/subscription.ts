/**
 * Where a subscription stands in the log that it follows, and where it stands after each thing that happens to it.
 *
 *     told of news ──► read behind what was looked at ──► nothing of its filter: looked further
 *                            │        │                └► events: handled, or refused and to wait, or set aside
 *                            │        └── not the log that was followed: stopped, until somebody resets it
 *                            └── not before a wait is over
 *
 * What becomes of events that are refused, the rules of `subscription.ts` say.
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  7.  what stands behind the checkpoint is read with the log's id and mark there: another history stops the subscription;
 *  7b. news does not shorten a wait.
 */
import { unreachable } from "../assert.ts";
import { START_MARK } from "../mark.ts";
import {
  afterHandled,
  afterPassed,
  afterRefused,
  type Batch,
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
  /** The log that it follows, and its mark at the checkpoint; null where that is not known yet. */
  readonly log: string;
  readonly mark: string | null;
  readonly progress: Progress;
  /** Milliseconds since 1970: what was refused is not handed over again before. */
  readonly retryAt: number | null;
  /** Why it was refused, or why it stopped. */
  readonly error: string | null;
}

/** A place of the log, and its mark there. */
export interface Looked {
  readonly position: number;
  readonly mark: string | null;
}

/** What the log says of itself. */
export interface LogEnd {
  readonly log: string;
  readonly head: number;
  /** Its mark there; left out by logs of before it was told. */
  readonly mark?: string | undefined;
}

/** Positions that are passed over where nothing matches before that is written down: reading them again costs less than a row for each. */
const PASSED_OVER = 1_000;

export function subscriptionAt(log: string, position: number): EdgeSubscription {
  return { log, mark: position === 0 ? START_MARK : null, progress: startAt(position), retryAt: null, error: null };
}

/** Somebody has it follow the log that is there now, from behind a position. */
export function movedTo<S extends EdgeSubscription>(subscription: S, log: string, position: number): S {
  return { ...subscription, ...subscriptionAt(log, position) };
}

/** Up to which position the list of what was set aside is kept then: what stands behind it comes again, and another log has none of it. */
export function listKept(subscription: EdgeSubscription, log: string, position: number): number {
  return subscription.log === log ? position : 0;
}

/** @param looked nothing of the filter stands between the checkpoint and there, as far as that is remembered */
export function lookedOf({ progress: { checkpoint }, mark }: EdgeSubscription, looked: Looked | undefined): Looked {
  return looked !== undefined && looked.position > checkpoint ? looked : { position: checkpoint, mark };
}

/**
 * When it has to look at the log, which has told of itself; null where it need not. Milliseconds since 1970. A log that was put back and
 * has grown up to the same position has another mark there.
 */
export function wakeTime(subscription: EdgeSubscription, looked: Looked, { log, head, mark }: LogEnd, now: number): number | null {
  if (subscription.progress.isStopped || (log === subscription.log && head === looked.position && mark === looked.mark)) return null;
  return Math.max(now, subscription.retryAt ?? 0);
}

/** Until when nothing is handed over; null where it need not wait. */
export function waitsUntil({ retryAt }: EdgeSubscription, now: number): number | null {
  return retryAt !== null && retryAt > now ? retryAt : null;
}

/** What is asked of the log: it refuses where it is another one, or has another history. */
export function readBehind({ log }: EdgeSubscription, { position, mark }: Looked): { after: number; log?: string; mark?: string } {
  return { after: position, log, ...(mark === null ? {} : { mark }) };
}

/** @param heard the furthest head that was told since the log was asked */
export function hasMore({ position }: Looked, head: number, heard: number): boolean {
  return heard > head || position < head;
}

/** The log is not the one that was followed. */
export function afterOtherLog<S extends EdgeSubscription>(subscription: S, error: string): S {
  return { ...subscription, progress: stopped(subscription.progress), retryAt: null, error };
}

/** Whether it is written down that nothing of the filter stands up to here. */
export function isWorthWriting({ progress: { checkpoint } }: EdgeSubscription, position: number): boolean {
  return position - checkpoint >= PASSED_OVER;
}

export function afterLooked<S extends EdgeSubscription>(subscription: S, { position, mark }: Looked): S {
  return { ...subscription, mark, progress: afterPassed(subscription.progress, position) };
}

/** @param mark the log's, behind the batch */
export function afterBatch<S extends EdgeSubscription>(subscription: S, batch: Batch, mark: string | null): S {
  return { ...subscription, mark, progress: afterHandled(subscription.progress, batch), retryAt: null, error: null };
}

/** What is next, `settled` says. */
export function afterRefusal<S extends EdgeSubscription>(subscription: S, batch: Batch, error: string): S {
  return { ...subscription, progress: afterRefused(subscription.progress, batch), error };
}

/** Its alarm was ended in the middle. What came of it is not known. @param random from 0 to below 1 */
export function afterKill<S extends EdgeSubscription>(
  subscription: S,
  policy: SubscriptionPolicy,
  error: string,
  now: number,
  random: number,
): S {
  if (subscription.progress.isStopped) return subscription;
  const progress = afterRefused(subscription.progress);
  return { ...subscription, progress, retryAt: now + waitAfter(progress, policy, random), error };
}

/**
 * What becomes of events that were refused. Where they are set aside, to be written in one transaction with their place in the list.
 *
 * @param mark the log's, behind them
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

/** Somebody has it go on where it stopped, or at once where it waits. */
export function afterResume<S extends EdgeSubscription>(subscription: S): S {
  return { ...subscription, progress: resumed(subscription.progress), retryAt: null, error: null };
}

/** What the list has of an event that was handed over once more; null where it was handled. @param at ISO 8601 UTC */
export function afterReplay<E>(event: E, error: string | null, at: string): (E & { readonly error: string; readonly at: string }) | null {
  return error === null ? null : { ...event, error, at };
}

export function stateOf({ progress: { isStopped }, retryAt }: EdgeSubscription): SubscriptionState {
  if (isStopped) return "stopped";
  return retryAt === null ? "running" : "waiting";
}
