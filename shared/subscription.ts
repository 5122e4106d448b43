/**
 * What a subscription does next. An app's handler gets the events of a filter in the order of their positions. The checkpoint is the
 * position up to which they are handled.
 *
 *     read after the checkpoint ──► handed to the handler ──► handled ────────────────────► checkpoint after them
 *          ▲                              └── failed ──► retried, after a wait
 *          │                                     └── too often: several ──► one at a time, to find the failing one
 *          └─────────────────────────────────────┘              one ──────► dead letter, checkpoint after it
 *                                                                  └──────► or stopped, checkpoint before it
 *
 * Invariants (numbers of docs/architecture.md; those with letters are parts of 7):
 *  7. the checkpoint never passes an event that was neither handled nor made a dead letter, and no event before the checkpoint is handed
 *     to the handler. So each event is handled at least once, in order. The storage writes a dead letter in one transaction with the
 *     checkpoint after it;
 *  7a. an event becomes a dead letter, or stops its subscription, only after the handler had it alone and failed or was killed. So no
 *     innocent neighbour does, and no event that the handler never got. A kill of which no more is known is not enough;
 *  7b. after a failure the events are handed to the handler again after a wait and not before, even if something wakes the
 *     subscription meanwhile.
 *
 * What it does not do: distinguish a handler that fails on one event from a handler that can do nothing at the moment. If the handler
 * fails on many events in a row, the second is assumed: the subscription stops, and these events do not become dead letters one by one.
 */
import { assert } from "./assert.ts";
import { type Backoff, backoff } from "./backoff.ts";
import { HeadwaterError, InvalidRequestError } from "./errors.ts";
import { isObject } from "./json.ts";
import * as option from "./options.ts";
import { isOrdinal } from "./order.ts";

export interface SubscriptionPolicy {
  /** The greatest number of events in one call of the handler: 1 to 1,000. Default: 100. */
  readonly batchSize: number;
  /**
   * How many more times an event is handed to the handler after the handler failed on it alone. A whole number from 0. Default: 30, which
   * takes about half an hour.
   */
  readonly retries: number;
  /**
   * What happens if the last retry fails too. `dead-letter`: the event becomes a dead letter, and the subscription continues. `stop`: the
   * subscription stops, and all later events wait. Default: `stop`, so that no event is skipped without anybody noticing.
   */
  readonly onFailure: "dead-letter" | "stop";
  /**
   * After so many dead letters in a row, the next failing event stops the subscription: the handler is broken, not the events. A whole
   * number from 0. Default: 10.
   */
  readonly maxConsecutiveDeadLetters: number;
  /** The waits before the retries, in milliseconds. Default: `{ first: 2_000, longest: 300_000 }`. */
  readonly backoff: Backoff;
}

export type SubscriptionState = "running" | "waiting" | "stopped";

/** The status of a subscription, on a device and at the edge alike. */
export interface SubscriptionStatus {
  readonly name: string;
  /** `waiting`: until `retryAt`, because the handler failed. `stopped`: until an operator resumes or resets it; `error` says why. */
  readonly state: SubscriptionState;
  /** Every event of the filter up to this position was handled, or is a dead letter. */
  readonly position: number;
  /** The last position of the log; on a device, the last that the device holds. */
  readonly head: number;
  /** Positions between the two. */
  readonly lag: number;
  /** How often in a row the handler has failed on the next event. */
  readonly attempts: number;
  /** When it is retried, ISO 8601 UTC; null if nothing waits. */
  readonly retryAt: string | null;
  /** Why the handler failed last, or why the subscription stopped; null if neither. */
  readonly error: string | null;
  /** How many dead letters there are. */
  readonly deadLetters: number;
}

/** An event that a handler kept failing on. It waits for an operator, and the subscription continues without it. */
export interface DeadLetter {
  readonly id: string;
  readonly streamId: string;
  readonly version: number;
  /** The position when it became a dead letter: on a device, a reset may give the event another position. */
  readonly position: number;
  readonly type: string;
  /** Why the handler failed on it last. */
  readonly error: string;
  /** When that was, ISO 8601 UTC. */
  readonly at: string;
}

/** With these defaults an event is retried for about half an hour. */
export const DEFAULT_POLICY: SubscriptionPolicy = {
  batchSize: 100,
  retries: 30,
  onFailure: "stop",
  maxConsecutiveDeadLetters: 10,
  backoff: { first: 2_000, longest: 300_000 },
};

export const POLICY_OPTIONS = {
  batchSize: /* @__PURE__ */ option.withPreset(/* @__PURE__ */ option.upTo(1000), DEFAULT_POLICY.batchSize),
  retries: /* @__PURE__ */ option.withPreset(option.ordinal, DEFAULT_POLICY.retries),
  onFailure: /* @__PURE__ */ option.withPreset(/* @__PURE__ */ option.oneOf("dead-letter", "stop"), DEFAULT_POLICY.onFailure),
  maxConsecutiveDeadLetters: /* @__PURE__ */ option.withPreset(option.ordinal, DEFAULT_POLICY.maxConsecutiveDeadLetters),
  backoff: /* @__PURE__ */ option.withPreset(
    {
      what: `{ first, longest }, each ${option.milliseconds.what}`,
      accepts: (value) => isObject(value) && ["first", "longest"].every((name) => option.milliseconds.accepts(value[name])),
    },
    DEFAULT_POLICY.backoff,
  ),
} satisfies option.OptionsOf<SubscriptionPolicy>;

/** How often a batch of several events is retried before its events are handed over one at a time: most of them are innocent. */
const RETRIES_TOGETHER = 2;

/** The progress of a subscription. All of it is durable: it is read before each step and written after it. */
export interface Progress {
  /** Every event of the filter up to this position was handled, or is a dead letter. */
  readonly checkpoint: number;
  /** How often in a row the handler has failed on the events after the checkpoint. */
  readonly failures: number;
  /** Up to this position events are handed over one at a time. If the checkpoint has passed it, none are. */
  readonly alone: number;
  /**
   * The handler is known to have failed on the next event alone, if this position is after the checkpoint. Records of earlier versions do
   * not have it.
   */
  readonly failedAlone?: number;
  /** How many events in a row have become dead letters. */
  readonly inARow: number;
  readonly isStopped: boolean;
}

/** The next events of the filter after the checkpoint, without a gap. */
export interface Batch {
  /** How many events: one or more. */
  readonly count: number;
  /** The position of the last event, or a later one up to which no other event matches the filter. */
  readonly upTo: number;
}

export type SubscriptionStep =
  | { readonly kind: "hand-over" }
  /** Read again, one event at a time from now on. */
  | { readonly kind: "take-apart"; readonly progress: Progress }
  /** The batch's only event becomes a dead letter. The progress is written in one transaction with the dead letter. */
  | { readonly kind: "dead-letter"; readonly progress: Progress }
  | { readonly kind: "stop"; readonly progress: Progress };

/**
 * Where a subscription begins: with the first event, with the events that come after it was first known (`now`), or after a position.
 */
export type Beginning = "beginning" | "now" | number;

export const beginning: option.Option = { what: '"beginning", "now" or a position', accepts: isBeginning };

function isBeginning(value: unknown): value is Beginning {
  return value === "beginning" || value === "now" || isOrdinal(value);
}

/** @throws InvalidRequestError if `from` is not one of these */
export function parseBeginning(from: unknown, field: string): Beginning {
  if (isBeginning(from)) return from;
  throw new InvalidRequestError(`${field} must be ${beginning.what}.`, { field });
}

/**
 * The position after which a subscription begins. A position past the log's head becomes the head.
 *
 * @param facts the log's position when the subscription was first known, and the log's head
 */
export function beginningOf(from: Beginning, { since, head }: { readonly since: number; readonly head: number }): number {
  if (from === "now") return since;
  return from === "beginning" ? 0 : Math.min(from, head);
}

export function startAt(position: number): Progress {
  assert(isOrdinal(position), "a checkpoint is a position");
  return { checkpoint: position, failures: 0, alone: 0, inARow: 0, isStopped: false };
}

/** How many events to read. */
export function sizeOfBatch({ checkpoint, alone }: Progress, { batchSize }: SubscriptionPolicy): number {
  return checkpoint < alone ? 1 : batchSize;
}

/** What to do with the events that were read. */
export function nextStep(progress: Progress, policy: SubscriptionPolicy, { count, upTo }: Batch): SubscriptionStep {
  assert(!progress.isStopped, "a stopped subscription gets no events");
  assert(count >= 1 && upTo > progress.checkpoint, "a batch has an event after the checkpoint");
  assert(count <= sizeOfBatch(progress, policy), "a batch is no larger than requested");
  const { failures, inARow, alone } = progress;
  // Even if the batch has one event now, the failures may be those of a batch of several: a page that is read again can end elsewhere.
  const isAlone = count === 1 && upTo <= alone;
  if (failures <= (isAlone ? policy.retries : Math.min(RETRIES_TOGETHER, policy.retries))) return { kind: "hand-over" };
  if (!isAlone) return { kind: "take-apart", progress: { ...progress, failures: 0, alone: upTo } };
  if (!hasFailedAlone(progress)) return { kind: "hand-over" };
  if (policy.onFailure === "stop" || inARow >= policy.maxConsecutiveDeadLetters)
    return { kind: "stop", progress: { ...progress, isStopped: true } };
  return { kind: "dead-letter", progress: { ...progress, checkpoint: upTo, failures: 0, inARow: inARow + 1 } };
}

function hasFailedAlone({ checkpoint, failedAlone = 0 }: Progress): boolean {
  return failedAlone > checkpoint;
}

/**
 * Whether to store that the handler gets the events, before it gets them: without that, another kill would leave it unknown once more
 * whether the handler failed. Costs nothing unless there was a kill.
 */
export function isToBeNoted(progress: Progress, { count, upTo }: Batch): boolean {
  return progress.failures > 0 && count === 1 && upTo <= progress.alone && !hasFailedAlone(progress);
}

export function afterHandled(progress: Progress, { upTo }: Batch): Progress {
  assert(upTo > progress.checkpoint, "a checkpoint moves forwards");
  return { ...progress, checkpoint: upTo, failures: 0, inARow: 0 };
}

/** @param batch undefined if it is not known whether the handler had any, because the handler was killed together with its object */
export function afterFailed(progress: Progress, batch?: Batch): Progress {
  const failed = { ...progress, failures: progress.failures + 1 };
  // If the handler failed on one event alone, the event is retried alone, even if others have come after it meanwhile.
  return batch?.count === 1 ? { ...failed, alone: batch.upTo, failedAlone: batch.upTo } : failed;
}

/** No event of the filter was found up to `upTo`. */
export function afterPassed(progress: Progress, upTo: number): Progress {
  assert(upTo >= progress.checkpoint, "a checkpoint moves forwards");
  return { ...progress, checkpoint: upTo };
}

/** The log is not the one that the subscription followed: nothing is handed over until an operator has checked it. */
export function stopped(progress: Progress): Progress {
  return { ...progress, isStopped: true };
}

/** Continues after the checkpoint, as if the handler had never failed. */
export function resumed(progress: Progress): Progress {
  return { ...progress, failures: 0, inARow: 0, isStopped: false };
}

/** @param random from 0 to below 1 @returns milliseconds until the failed events are handed over again */
export function waitAfter({ failures }: Progress, policy: SubscriptionPolicy, random: number): number {
  assert(failures >= 1, "a subscription waits only after a failure");
  return backoff(policy.backoff, failures, random);
}

/**
 * How many milliseconds of a wait are left. No wait is longer than `backoff.longest`. If more is left, the clock was set back during the
 * wait, and it is not known when the wait began: then the wait is over.
 */
export function waitLeft(notBefore: number, now: number, { backoff: { longest } }: SubscriptionPolicy): number {
  const left = notBefore - now;
  return left > longest ? 0 : Math.max(0, left);
}

/**
 * An error for a handler to throw. Its message is stored as the reason of the failure, up to 300 characters, and operators of the
 * subscription see it.
 */
export class HandlerError extends Error {
  override readonly name = "HandlerError";
}

/** Characters. */
const LONGEST_MESSAGE = 300;

/**
 * Why a handler failed, as it is stored and shown. The message of a `HandlerError` or a `HeadwaterError` is shown. The message of any other
 * error may contain an event's data, as that of `JSON.parse` does. So only the name of such an error is shown.
 */
export function messageOfFailure(error: unknown): string {
  if (error instanceof HandlerError || error instanceof HeadwaterError) {
    return error.message.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").slice(0, LONGEST_MESSAGE);
  }
  if (!(error instanceof Error)) return "The handler threw a value that is not an error.";
  return `The handler threw ${/^\w{1,60}$/.test(error.name) ? error.name : "an error"}.`;
}
