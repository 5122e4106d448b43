/**
 * What a subscription does next. An app's handler is given the events of a filter in the order of their positions; a checkpoint says
 * how far it has come.
 *
 *     read behind the checkpoint ──► handed over ──► handled ──────────────────────────────► checkpoint behind them
 *          ▲                              └── refused ──► again, after a wait
 *          │                                     └── too often: several ──► one at a time, to find which it is
 *          └─────────────────────────────────────┘              one ──────► set aside, checkpoint behind it
 *                                                                  └──────► or stopped, checkpoint before it
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  7. the checkpoint never passes an event that was neither handled nor set aside, and nothing is handed over that stands before it:
 *     so each event is handled at least once, in order. Whoever keeps the list of what was set aside writes it together with the
 *     checkpoint behind it;
 *  7a. an event is set aside, or stops its subscription, only after it was refused by itself, so that no innocent neighbour is;
 *  7b. what was refused is handed over again after a wait and not before, whoever wakes the subscription meanwhile.
 *
 * What it does not do: tell a handler that refuses one event from one that can do nothing at the moment. Many events in a row that
 * are refused are taken for the latter, and stop the subscription instead of being set aside one after the other.
 */
import { assert } from "./assert.ts";
import { type Backoff, backoff } from "./backoff.ts";
import { HeadwaterError, InvalidRequestError } from "./errors.ts";
import { parseCount } from "./limits.ts";
import { isOrdinal } from "./order.ts";

export interface SubscriptionPolicy {
  /** Events that are handed over together, at most. */
  readonly batchSize: number;
  /** How often an event that was refused by itself is handed over again. */
  readonly retries: number;
  /** What becomes of an event that was refused once more: it is set aside and the others go on, or all wait behind it. */
  readonly onFailure: "dead-letter" | "stop";
  /** After so many events in a row that were set aside the next one stops the subscription. */
  readonly maxConsecutiveDeadLetters: number;
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
  /** As it was then: on a device, a reset may give the event another position. */
  readonly position: number;
  readonly type: string;
  /** Why the handler failed on it last. */
  readonly error: string;
  /** When that was, ISO 8601 UTC. */
  readonly at: string;
}

/** With these an event is tried for about half an hour before it is given up. */
export const DEFAULT_POLICY: SubscriptionPolicy = {
  batchSize: 100,
  retries: 30,
  onFailure: "stop",
  maxConsecutiveDeadLetters: 10,
  backoff: { first: 2_000, longest: 300_000 },
};

const LARGEST_BATCH = 1000;

/** Several events are handed over again so often before they are taken apart: most of them are innocent. */
const RETRIES_TOGETHER = 2;

/** Where a subscription stands. All of it is durable: it is read before each step and written after it. */
export interface Progress {
  /** Every event of the filter up to this position was handled, or set aside. */
  readonly checkpoint: number;
  /** How often what stands behind the checkpoint was refused, in a row. */
  readonly failures: number;
  /** Up to this position events are handed over one at a time; none are, where the checkpoint has passed it. */
  readonly alone: number;
  /** Events that were set aside in a row. */
  readonly inARow: number;
  readonly isStopped: boolean;
}

/** Events that stand behind the checkpoint without another one of the filter between. */
export interface Batch {
  /** One or more. */
  readonly count: number;
  /** There is no event of the filter from the last one's position up to here. */
  readonly upTo: number;
}

export type SubscriptionStep =
  | { readonly kind: "hand-over" }
  /** Read again: one event at a time now. */
  | { readonly kind: "take-apart"; readonly progress: Progress }
  /** The batch's one event. To be written in one transaction with the event's place in the list. */
  | { readonly kind: "dead-letter"; readonly progress: Progress }
  | { readonly kind: "stop"; readonly progress: Progress };

/** Where a subscription begins: `now` is behind what there was when it was first known. */
export type Beginning = "beginning" | "now" | number;

/** @throws InvalidRequestError for what is none */
export function parseBeginning(from: unknown, field: string): Beginning {
  if (from === "beginning" || from === "now" || isOrdinal(from)) return from;
  throw new InvalidRequestError(`${field} is "beginning", "now" or a position.`, { field });
}

/** @param facts the position where it was first known, and the log's head; a position beyond that is the head */
export function beginningOf(from: Beginning, { since, head }: { readonly since: number; readonly head: number }): number {
  if (from === "now") return since;
  return from === "beginning" ? 0 : Math.min(from, head);
}

export function startAt(position: number): Progress {
  assert(isOrdinal(position), "a checkpoint is a position");
  return { checkpoint: position, failures: 0, alone: 0, inARow: 0, isStopped: false };
}

/** How many events are to be read. */
export function sizeOfBatch({ checkpoint, alone }: Progress, { batchSize }: SubscriptionPolicy): number {
  return checkpoint < alone ? 1 : batchSize;
}

/** What is to be done with the events that were read. */
export function nextStep(progress: Progress, policy: SubscriptionPolicy, { count, upTo }: Batch): SubscriptionStep {
  assert(!progress.isStopped, "a subscription that is stopped is handed nothing");
  assert(count >= 1 && upTo > progress.checkpoint, "a batch has an event behind the checkpoint");
  assert(count <= sizeOfBatch(progress, policy), "a batch is no larger than asked for");
  const { failures, inARow, alone } = progress;
  // One that comes by itself may have been refused, or killed with, together with others: a page need not have the same end twice.
  const isAlone = count === 1 && upTo <= alone;
  if (failures <= (isAlone ? policy.retries : Math.min(RETRIES_TOGETHER, policy.retries))) return { kind: "hand-over" };
  if (!isAlone) return { kind: "take-apart", progress: { ...progress, failures: 0, alone: upTo } };
  if (policy.onFailure === "stop" || inARow >= policy.maxConsecutiveDeadLetters)
    return { kind: "stop", progress: { ...progress, isStopped: true } };
  return { kind: "dead-letter", progress: { ...progress, checkpoint: upTo, failures: 0, inARow: inARow + 1 } };
}

export function afterHandled(progress: Progress, { upTo }: Batch): Progress {
  assert(upTo > progress.checkpoint, "a checkpoint moves forwards");
  return { ...progress, checkpoint: upTo, failures: 0, inARow: 0 };
}

/** @param batch left out where it is not known any more: whoever held it was killed */
export function afterRefused(progress: Progress, batch?: Batch): Progress {
  // One that was refused by itself is tried by itself, whatever comes behind it meanwhile.
  const alone = batch?.count === 1 ? batch.upTo : progress.alone;
  return { ...progress, failures: progress.failures + 1, alone };
}

/** Nothing of the filter stands up to here. */
export function afterPassed(progress: Progress, upTo: number): Progress {
  assert(upTo >= progress.checkpoint, "a checkpoint moves forwards");
  return { ...progress, checkpoint: upTo };
}

/** What is followed is not what it was: nothing is handed over until somebody has looked at it. */
export function stopped(progress: Progress): Progress {
  return { ...progress, isStopped: true };
}

/** Goes on where it stopped, as if nothing had been refused. */
export function resumed(progress: Progress): Progress {
  return { ...progress, failures: 0, inARow: 0, isStopped: false };
}

/** @param random from 0 to below 1 @returns milliseconds until what was refused is handed over again */
export function waitAfter({ failures }: Progress, policy: SubscriptionPolicy, random: number): number {
  assert(failures >= 1, "nothing waits that was not refused");
  return backoff(policy.backoff, failures, random);
}

/**
 * Milliseconds that are left of a wait. No wait is longer than the longest: where more is left, the clock was set back since, and nobody
 * knows how long ago it began.
 */
export function waitLeft(notBefore: number, now: number, { backoff: { longest } }: SubscriptionPolicy): number {
  const left = notBefore - now;
  return left > longest ? 0 : Math.max(0, left);
}

/** Thrown by a handler to say why it refuses, in a sentence that is shown to whoever looks after the subscription. */
export class HandlerError extends Error {
  override readonly name = "HandlerError";
}

const LONGEST_SENTENCE = 300;

/**
 * Why a handler refused, to be kept and shown. What an error says that was not meant for that may hold an event's data, as that of
 * `JSON.parse` does: of such a one only the kind is told.
 */
export function sentenceOfRefusal(error: unknown): string {
  if (error instanceof HandlerError || error instanceof HeadwaterError) {
    return error.message.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").slice(0, LONGEST_SENTENCE);
  }
  const name = error instanceof Error && /^\w{1,60}$/.test(error.name) ? error.name : "something that is no error";
  return `The handler threw ${name}.`;
}

/** The policy with defaults for what is left out. @throws InvalidRequestError naming the part that is not of its form */
export function completePolicy(given: Partial<SubscriptionPolicy>, field: string): SubscriptionPolicy {
  const policy = { ...DEFAULT_POLICY, ...given };
  const { batchSize, retries, onFailure, maxConsecutiveDeadLetters } = policy;
  parseCount(batchSize, `${field}.batchSize`);
  if (batchSize > LARGEST_BATCH) {
    throw new InvalidRequestError(`${field}.batchSize is at most ${LARGEST_BATCH}.`, { field: `${field}.batchSize` });
  }
  if (!isOrdinal(retries)) throw new InvalidRequestError(`${field}.retries is a whole number from 0.`, { field: `${field}.retries` });
  if (onFailure !== "dead-letter" && onFailure !== "stop") {
    throw new InvalidRequestError(`${field}.onFailure is "set-aside" or "stop".`, { field: `${field}.onFailure` });
  }
  if (!isOrdinal(maxConsecutiveDeadLetters)) {
    throw new InvalidRequestError(`${field}.setAsideInARow is a whole number from 0.`, { field: `${field}.setAsideInARow` });
  }
  return policy;
}
