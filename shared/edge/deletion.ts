/**
 * The decisions of a store's deletion.
 *
 *     present ── DELETE that names the log ──► deleting ── a portion, and another one … ──► deleted
 *                                                 └── from here on, everybody else gets `store-deleted`
 *
 * There is no way back: a name that was deleted stays deleted. A device that was offline would push into a new store of the same name.
 */
import { assert } from "../assert.ts";
import { InvalidRequestError, LogMismatchError, StoreDeletedError } from "../errors.ts";
import type { StoreDeletion } from "../wire/deletion.ts";

/** What the log stores of its deletion. */
export interface DeletionNote {
  /** The store's id: an alarm may not know it otherwise. */
  readonly store: string;
  /** Of the log, that are left. */
  readonly events: number;
  /** How many of the log's streams are left. */
  readonly streams: number;
  /** Names of the subscriptions that are left. */
  readonly subscriptions: readonly string[];
  readonly isDone: boolean;
}

/** Seconds. A device asks again after that, and no sooner: there is nothing to wait for. */
const RETRY_AFTER = 300;

/** The error for everybody who wants something of a deleted store. */
export function storeDeleted(): StoreDeletedError {
  return new StoreDeletedError(undefined, { retryAfter: RETRY_AFTER });
}

/**
 * Checks that the request means this store: it has to name the id of its log, which nobody types by a slip.
 *
 * @param given the id that the request names
 * @throws InvalidRequestError if it names none
 * @throws LogMismatchError if the store has another log
 */
export function confirmDeletion(log: string, given: string | undefined): void {
  if (given === undefined) {
    throw new InvalidRequestError("Name the log of the store that is to be deleted, as log=…: with dryRun=true the answer has its id.", {
      field: "log",
    });
  }
  if (given !== log) throw new LogMismatchError("The store has another log than the request names. Nothing was deleted.", { log });
}

/** What a portion has removed. */
export interface Portion {
  /** Rows of the log, as events. */
  readonly events: number;
  /** Streams of which nothing is left. */
  readonly streams: number;
  /** Names of subscriptions of which nothing is left. */
  readonly subscriptions: readonly string[];
  /** Whether anything is left, as storage has it: the counts may be wrong if storage was damaged. */
  readonly hasMore: boolean;
}

/** The note after a portion. */
export function afterPortion(note: DeletionNote, { events, streams, subscriptions, hasMore }: Portion): DeletionNote {
  assert(!note.isDone, "a deletion that is done has no further portion");
  const left = note.subscriptions.filter((name) => !subscriptions.includes(name));
  const isDone = !hasMore && left.length === 0;
  if (isDone) return { store: note.store, events: 0, streams: 0, subscriptions: [], isDone };
  return {
    store: note.store,
    events: Math.max(0, note.events - events),
    streams: Math.max(0, note.streams - streams),
    subscriptions: left,
    isDone,
  };
}

/** The answer to the operator. */
export function deletionOf(log: string, { events, streams, subscriptions, isDone }: DeletionNote): StoreDeletion {
  return { log, state: isDone ? "deleted" : "deleting", events, streams, subscriptions: subscriptions.length };
}
