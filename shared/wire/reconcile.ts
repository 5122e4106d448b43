/**
 * The messages of a reconciliation, for administrators: `headwater reconcile` sends them, see docs/operations.md.
 *
 *     log, in portions: what is damaged or missing comes from the streams, or from a backup ──► streams: what is damaged, missing or differs comes from the log
 *
 * Every step may be sent again, and with `dryRun` it writes nothing.
 */
import * as v from "valibot";
import { recordedRuns } from "./restore.ts";
import { wholeNumber } from "./schema.ts";

/** Versions or positions; both are inclusive. */
const places = v.object({ first: wholeNumber, last: wholeNumber });

/** `POST /v1/{store}/reconcile/log`: a portion of the log, after a position. */
export const reconcileLog = v.object({
  after: wholeNumber,
  dryRun: v.optional(v.boolean(), false),
  /** The log as it is then counts from now on, also if it once had another history: `lostHistory` of the health is null again. */
  accept: v.optional(v.boolean(), false),
  /** Events of a backup, from the position behind `after` on: for positions that the log has lost, and whose events no stream has. */
  runs: v.optional(recordedRuns, []),
});

export const reconciledLog = v.object({
  /** Up to which the portion went: the next one begins after it. */
  position: wholeNumber,
  head: wholeNumber,
  /** Positions that were damaged or missing, and have their events again. */
  repaired: v.array(places),
  /** Positions whose events no stream has, or that fit nowhere by the log's marks. */
  lost: v.array(places),
});

/** `GET /v1/{store}/reconcile/streams`: what the index of streams knows, in the order of the ids. It may know streams that the log has lost. */
export const indexedStreams = v.object({
  streams: v.array(v.string()),
  /** What the next page begins after; null on the last one. */
  next: v.nullable(v.string()),
});

/** `POST /v1/{store}/reconcile/streams`. Events of a backup may come along: of versions that neither the stream nor the log can read. */
export const reconcileStreams = v.object({
  dryRun: v.optional(v.boolean(), false),
  streams: v.array(
    v.object({
      streamId: v.unknown(),
      /** The first version that may be replaced by another event, which the log has. Default: none may be. */
      replaceFrom: v.optional(wholeNumber, 0),
      firstVersion: v.optional(wholeNumber, 1),
      events: v.optional(v.array(v.unknown()), []),
    }),
  ),
});

export const reconciledStream = v.object({
  streamId: v.string(),
  /** The stream's last version. */
  version: wholeNumber,
  /** The last version that the log had of it before; left out by an older edge. */
  logged: v.optional(wholeNumber),
  /** Versions that the stream takes from the log or from the request. */
  repaired: v.array(places),
  /** Versions of which the log has other events. They are replaced by those if the request allows it. */
  replaced: v.nullable(places),
  /** Versions whose events nobody has. */
  lost: v.array(places),
});

/** One for each stream, in the order of the request. */
export const reconciledStreams = v.object({ streams: v.array(reconciledStream) });

export type IndexedStreams = v.InferOutput<typeof indexedStreams>;
export type ReconciledLog = v.InferOutput<typeof reconciledLog>;
export type ReconciledStream = v.InferOutput<typeof reconciledStream>;
