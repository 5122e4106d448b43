/**
 * Everything that the world uses from `shared/`, and the few decisions that `client/` and `worker/` make around it, in one object. A
 * deliberate bug (`bugs.ts`) replaces one of its values.
 */
import { decideAppend } from "../../shared/append.ts";
import { decideAgain } from "../../shared/device/decider.ts";
import { isAbandoned, mayWrite, nextTerm } from "../../shared/device/leadership.ts";
import { arrivedAfterAll, type PendingEntry, parkFrom, reconcile, supersede } from "../../shared/device/outbox.ts";
import { detach, rebaseParked } from "../../shared/device/parked.ts";
import { foldFrom, foldRows } from "../../shared/device/projection.ts";
import { decidePage, isBehind, isWithin, type Replica } from "../../shared/device/replica.ts";
import { emptyReplica, isSameCopy } from "../../shared/device/same-copy.ts";
import { scopeOfFilter, scopeWithStreams, withScope } from "../../shared/device/scope.ts";
import { isUsable, isWorthTaking } from "../../shared/device/snapshot.ts";
import { afterHandOver, afterLook, continuedIn, dueOf, resumptionIn, unlessOvertaken } from "../../shared/device/subscription.ts";
import { advance, type Unsent } from "../../shared/device/sync.ts";
import { decidePublication } from "../../shared/edge/publication.ts";
import {
  afterBatch,
  afterFailure,
  afterKill,
  afterOtherLog,
  afterReplay,
  afterResume,
  afterSkipped,
  deadLettersKeptUpTo,
  type EdgeSubscription,
  hasMore,
  isWorthWriting,
  movedTo,
  readBehind,
  settled,
  waitsUntil,
  wakeTime,
} from "../../shared/edge/subscription.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { nextMark } from "../../shared/mark.ts";
import { nextStep, sizeOfBatch } from "../../shared/subscription.ts";
import { alarmDelay } from "../../worker/objects/alarm-delay.ts";
import type { HeldToken } from "./checkers/observation.ts";
import type { DeadLetter as EdgeDeadLetter } from "./edge-subscription.ts";
import type { RowWrite } from "./models/projector.ts";
import type { Snapshot } from "./models/snapshots.ts";
import type { Params } from "./params.ts";
import type { Durability } from "./storage.ts";

export const RULES = {
  advance,
  appendOnDevice: decideAppend,
  appendAtEdge: decideAppend,
  decidePage,
  isBehind,
  reconcile: reconcile<ConfirmedEvent>,
  parkFrom,
  supersede,
  arrivedAfterAll,
  rebaseParked,
  detach,
  decideAgain,
  scopeOfFilter,
  scopeWithStreams,
  withScope,
  isWithin,
  mayWrite,
  nextTerm,
  isAbandoned,
  decidePublication,
  nextMark,

  // What the shells decide by themselves.

  /** What exists on this device alone must not be lost once somebody has been told of it. */
  appendDurability: (): Durability => "strict",
  /** Nor may events that a rule, or a decider, puts in others' place, since they are sent from then on. */
  pageDurability: ({ rule, hasStock }: Pick<Params, "rule" | "hasStock">): Durability =>
    rule === "replace" || rule === "mixed" || hasStock ? "strict" : "relaxed",
  /** What of a page is written in one transaction after the other: all of it in one. */
  pageTransactions: (replica: Replica, events: readonly ConfirmedEvent[]): readonly PageWrite[] => [{ replica, events }],
  /** What a push holds of an entry. */
  sentEvents: ({ events }: PendingEntry) => events,
  /** Which entries leave the outbox when a push is answered: none before the feed brings them. */
  settledByAnswer: (_batch: readonly PendingEntry[]): readonly PendingEntry[] => [],
  /** What stands in the outbox behind a place, in order. */
  readOutbox: (entries: readonly PendingEntry[], after: number, limit: number): { unsent: Unsent[]; isEnd: boolean } => {
    const behind = entries.filter(({ seq }) => seq > after);
    const unsent = behind.slice(0, limit).map((entry) => ({ entry, size: entry.events.length * EVENT_SIZE }));
    return { unsent, isEnd: behind.length <= limit };
  },
  /** Whether streams with pending commits are brought into the scope, where the tab that appended knew of another one. */
  followsWhatIsSent: () => true,
  /** What of the outbox stays when the user lets go of the confirmed copy. */
  keptByReset: (entries: readonly PendingEntry[]) => entries,
  /** Whether the app's consumer handles events before it notes that it has. */
  handlesFirst: () => true,

  // What is derived from events.

  isUsable,
  /** Worlds are small: an event stands for many. */
  isWorthTaking: (version: number, from: number): boolean => isWorthTaking(version * 40, from * 40),
  /** What is worth a snapshot: what is confirmed. */
  snapshotOf: (confirmed: Base, _all: Base): Base => confirmed,
  snapshotsAfterReset: (_snapshots: Snapshots): Snapshots => new Map(),
  foldFrom,
  foldRows,
  /** What of a page of rows is written in one transaction after the other: all of it in one. */
  rowWrites: (write: RowWrite): readonly RowWrite[] => [write],
  nextStep,
  resumptionIn,
  dueOf,
  afterLook,
  afterHandOver,
  unlessOvertaken,
  /** Whether a subscription's events are handled before its checkpoint is written. */
  subscriptionHandlesFirst: () => true,
  isSameCopy,
  emptyReplica,
  /** Whether what rows are folded from is on the disk before them. */
  flushesBeforeRows: () => true,
  continuedIn,

  // A subscription at the edge.

  sizeOfBatch,
  wakeTime,
  waitsUntil,
  readBehind,
  hasMore,
  /** Worlds are small: a position stands for many. */
  isWorthWriting: (standing: EdgeSubscription, position: number): boolean =>
    isWorthWriting(standing, standing.progress.checkpoint + (position - standing.progress.checkpoint) * 100),
  afterSkipped: afterSkipped<EdgeSubscription>,
  afterBatch: afterBatch<EdgeSubscription>,
  afterFailure: afterFailure<EdgeSubscription>,
  afterKill: afterKill<EdgeSubscription>,
  afterOtherLog: afterOtherLog<EdgeSubscription>,
  afterResume: afterResume<EdgeSubscription>,
  settled: settled<EdgeSubscription>,
  movedTo: movedTo<EdgeSubscription>,
  deadLettersKeptUpTo,
  afterReplay: afterReplay<EdgeDeadLetter>,
  /** Whether the handler was given one of these again, and has never answered. */
  isReplaying: (due: readonly (string | undefined)[]) => due.includes("handed-over"),
  /** Whether a batch is handled before the checkpoint is written behind it. */
  edgeHandlesFirst: () => true,
  /** Whether the log's alarm is set with what is published. */
  isLogAlarmSet: () => true,
  alarmDelay,

  // What the edge decides by itself.

  /** Whether an alarm that found the log out of reach is followed by another one. */
  isAlarmSetAgain: () => true,
  /** Which part of what a stream has yet to publish goes next: all of it. */
  nextRun: <E>(backlog: readonly E[]): readonly E[] => backlog,
  /** Where the log puts the next event. */
  nextPosition: (head: number) => head + 1,
  /** An event as a page shows it. */
  shown: (event: ConfirmedEvent, _now: number): ConfirmedEvent => event,
  /** The name of a stream's object. */
  objectName: (store: string, streamId: string) => `${store}/${streamId}`,
  /** Why a token does not open a store, if it does not. */
  refusal: (token: HeldToken, store: string, now: number): "unauthenticated" | "forbidden" | undefined => {
    if (token.until <= now) return "unauthenticated";
    return token.stores.includes(store) ? undefined : "forbidden";
  },
};

export type Rules = typeof RULES;

type Base = Pick<Snapshot, "state" | "version">;
type Snapshots = ReadonlyMap<string, Snapshot>;

export interface PageWrite {
  readonly replica: Replica;
  readonly events: readonly ConfirmedEvent[];
}

/** Characters, as far as the bounds of a push go. */
export const EVENT_SIZE = 100;
