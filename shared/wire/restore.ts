/**
 * The messages of a restore, for administrators: `headwater restore` sends them, see docs/operations.md.
 *
 *     begin ──► streams, in parts ──► log, in parts, in position order ──► finish ──► streams once more, which shows each what it has
 *                                                     └── or abandon
 *
 * Every step may be sent again. `RecordedContent` of `shared/event/recorded.ts` is the form of the events.
 */
import * as v from "valibot";
import { wholeNumber } from "./schema.ts";

/** `POST /v1/{store}/restore`. It begins a restore, or continues the one of the same file. */
export const beginRestore = v.object({
  /** The SHA-256 of the events, as the end line of an export has it. */
  file: v.string(),
  /** How many events the file has. */
  events: wholeNumber,
  /** The mark after the last of them. */
  mark: v.string(),
});

const runningRestore = v.object({
  /** Made by the edge. The other steps name it. */
  id: v.string(),
  file: v.string(),
  events: wholeNumber,
  /** The position of the file up to which the log has it. */
  position: wholeNumber,
});

/** The answer to it. */
export const restoreBegun = v.object({ restore: runningRestore });

/** `GET /v1/{store}/restore`: the restore under way; null if there is none. */
export const restoreStatus = v.object({ restore: v.nullable(runningRestore) });

/**
 * `POST /v1/{store}/restore/streams`. For each stream it names the last version in the file, and may bring a part of the stream's events.
 * After the end of a restore it has a stream show what was restored, or drop it.
 */
export const restoreStreams = v.object({
  restore: v.string(),
  streams: v.array(
    v.object({
      streamId: v.unknown(),
      version: wholeNumber,
      firstVersion: v.optional(wholeNumber, 1),
      events: v.optional(v.array(v.unknown()), []),
    }),
  ),
});

/** `version` of an answer: the last one that the stream has, with what was restored; if it differs, the first version that does. */
export const restoredStream = v.variant("status", [
  v.object({ status: v.literal("stored"), streamId: v.string(), version: wholeNumber }),
  v.object({ status: v.literal("gap"), streamId: v.string(), version: wholeNumber }),
  v.object({ status: v.literal("differs"), streamId: v.string(), version: wholeNumber, field: v.string() }),
]);

/** One for each stream, in the order of the request. */
export const restoredStreams = v.object({ streams: v.array(restoredStream) });

/** Events of a backup at consecutive positions: consecutive versions of one stream in each. */
export const recordedRuns = v.array(v.object({ streamId: v.unknown(), firstVersion: wholeNumber, events: v.array(v.unknown()) }));

/** `POST /v1/{store}/restore/log`: events in position order, from `position` on. */
export const restoreLog = v.object({ restore: v.string(), position: wholeNumber, runs: recordedRuns });

/** The position of the file up to which the log has it. */
export const restoredLog = v.object({ position: wholeNumber });

/** `POST /v1/{store}/restore/finish`, and `…/abandon`. */
export const endRestore = v.object({ restore: v.string() });

export const restoreFinished = v.object({
  log: v.string(),
  head: wholeNumber,
  /** Events that the log did not have before. */
  restored: wholeNumber,
  /** Events of the file that have another position in the log, also those that the log had before. */
  moved: wholeNumber,
});

export const restoreAbandoned = v.object({});

export type RecordedRuns = v.InferOutput<typeof recordedRuns>;
export type RunningRestore = v.InferOutput<typeof runningRestore>;
export type BeginRestore = v.InferOutput<typeof beginRestore>;
export type RestoreStatus = v.InferOutput<typeof restoreStatus>;
export type RestoredStream = v.InferOutput<typeof restoredStream>;
export type RestoreFinished = v.InferOutput<typeof restoreFinished>;
