/**
 * Which pending commits are sent in one push, and what the edge's answer means for each of them.
 *
 *     committed, duplicate ──► taken: it is not sent again, and is confirmed when the feed delivers it, or what the edge has decided instead
 *     conflict             ──► contested: the feed delivers the events that came before it, and then it is resolved. The edge does not
 *                              have it: it looks for the commit's ids first
 *     conflict that no event of the feed explains, rejected ──► refused: it is parked, with every later commit of its stream
 *     refused              ──► refused by the decider at the edge: it alone is parked
 *     rejected, because the app's version and the edge's do not fit ──► waiting: its stream is deferred
 *     skipped              ──► an earlier commit of its stream was contested or refused: it is treated as that one is
 *
 * Invariant 6 of docs/architecture.md: every commit that was sent gets exactly one of these answers.
 */
import { assert } from "../assert.ts";
import type { CommandRefusal } from "../decider/command.ts";
import { type ErrorCode, errorOf, type HeadwaterError, remedyOf } from "../errors.ts";
import { exactVersion } from "../expected-version.ts";
import { NO_STREAM, toVersion } from "../order.ts";
import type { PushResult } from "../wire/wire.ts";
import { conflictReason, type ParkReason, type PendingEntry } from "./outbox.ts";

/** The greatest size of one push. */
export interface PushBounds {
  readonly commits: number;
  /** Different streams. */
  readonly streams: number;
  /** Characters of the commits as the device stores them. A push is measured before it is encoded, so this leaves room for UTF-8. */
  readonly size: number;
}

/**
 * Pending entries for one push, in order and within the bounds. At least one, if there is any.
 *
 * They are of the streams with the oldest entries. Entries of further streams are passed over, so that a device with pending commits on many
 * streams sends few full pushes, and not many of one commit for each stream. Nothing passes over an entry of its own stream, nor an entry that
 * caused it.
 *
 * @param items pending entries with the size of each, in the order of `seq`
 */
export function nextPush<T extends { readonly entry: PendingEntry; readonly size: number }>(
  items: Iterable<T>,
  bounds: PushBounds,
): readonly T[] {
  const batch: T[] = [];
  const streams = new Set<string>();
  const passedStreams = new Set<string>();
  const passedEvents = new Set<string>();
  let size = 0;
  for (const item of items) {
    const { streamId, events } = item.entry;
    const isBehind = passedStreams.has(streamId) || events.some(({ metadata }) => passedEvents.has(metadata.causationId ?? ""));
    if (isBehind || (streams.size >= bounds.streams && !streams.has(streamId))) {
      passedStreams.add(streamId);
      for (const { id } of events) passedEvents.add(id);
      continue;
    }
    size += item.size;
    if (batch.length > 0 && (batch.length >= bounds.commits || size > bounds.size)) break;
    streams.add(streamId);
    batch.push(item);
  }
  return batch;
}

export interface Refused {
  readonly entry: PendingEntry;
  readonly reason: ParkReason;
  /** Its command was refused: later commits of its stream do not depend on it. */
  readonly isAlone: boolean;
}

export interface Waiting {
  readonly streamId: string;
  readonly error: HeadwaterError;
}

export interface PushOutcome {
  /** The edge has these. */
  readonly taken: readonly PendingEntry[];
  /** Others were first: the feed will deliver their events. */
  readonly contested: readonly PendingEntry[];
  /** The edge will never accept these: each is parked, with every later entry of its stream unless it was refused alone. */
  readonly refused: readonly Refused[];
  /** The edge accepts these when the app or the edge has another version. */
  readonly waiting: readonly Waiting[];
}

/**
 * What the edge's answer to a push means for each of its entries.
 *
 * @param results as the edge sent them: one for each entry, in order
 */
export function judgePush(entries: readonly PendingEntry[], results: readonly PushResult[]): PushOutcome {
  const taken: PendingEntry[] = [];
  const contested: PendingEntry[] = [];
  const refused: Refused[] = [];
  const waiting: Waiting[] = [];
  const ended = new Set<string>();
  for (const [i, entry] of entries.entries()) {
    const result = results[i];
    assert(result !== undefined, "the answer to a push has a result for each commit");
    switch (result.status) {
      case "committed":
      case "duplicate":
        if (result.decided?.length === 0) refused.push({ entry, reason: commandRefusal(NOTHING), isAlone: true });
        else taken.push(entry);
        break;
      case "refused": {
        const { name, message, data } = result;
        refused.push({ entry, reason: commandRefusal(message, { name, message, data }), isAlone: true });
        break;
      }
      case "conflict":
      case "rejected":
        if (ended.has(entry.streamId)) break;
        ended.add(entry.streamId);
        if (result.status === "conflict" && isExplained(entry, result.actualVersion)) contested.push(entry);
        else if (isForLater(result))
          // It does not name the decider: the edge rejects it, whichever tab leads.
          waiting.push({ streamId: entry.streamId, error: errorOf(result.code, `${entry.streamId}: ${result.detail}`) });
        else refused.push({ entry, reason: refusalReason(entry, result), isAlone: false });
        break;
      case "skipped":
        ended.add(entry.streamId);
        break;
      default:
        result satisfies never;
    }
  }
  return { taken, contested, refused, waiting };
}

const NOTHING = "The command was decided at the edge and changes nothing.";

function commandRefusal(message: string, refusal?: CommandRefusal): ParkReason {
  return { code: "command-refused", message, actualVersion: NO_STREAM, ...(refusal && { refusal }) };
}

function isForLater(result: PushResult): boolean {
  return result.status === "rejected" && remedyOf(result.code) === "update";
}

/** Whether the feed will deliver what caused a conflict: the stream is past the expected version, so it has events that the device lacks. */
function isExplained({ expectedVersion }: PendingEntry, actualVersion: number): boolean {
  const believed = exactVersion(expectedVersion);
  return believed !== undefined && actualVersion > believed;
}

function refusalReason(entry: PendingEntry, result: Extract<PushResult, { status: "conflict" | "rejected" }>): ParkReason {
  if (result.status === "conflict") return conflictReason(entry.expectedVersion, toVersion(result.actualVersion));
  return rejection(result.code, result.detail);
}

/** The reason for parking an entry that the edge rejects for another reason than its expected version. */
export function rejection(code: ErrorCode, detail: string): ParkReason {
  return { code, message: detail, actualVersion: NO_STREAM };
}
