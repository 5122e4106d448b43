/**
 * Which pending commits go into one push, and what each one's answer makes of it.
 *
 *     committed, duplicate ──► acknowledged: not sent again, and confirmed when the feed brings it
 *     conflict, rejected   ──► parked, and every later commit of its stream with it
 *     skipped              ──► its stream's earlier commit was refused: parked with that one
 *     413 for all of it    ──► half as many; a single commit that is too large is parked
 *
 * Invariant 6 of the design's section 9: every commit that was sent gets exactly one of these answers.
 */
import { assert, unreachable } from "./assert.ts";
import { ERROR_CODES, type ErrorCode } from "./errors.ts";
import { NO_STREAM, toVersion } from "./order.ts";
import { conflictReason, type ParkReason, type PendingEntry } from "./outbox.ts";
import type { PushResult } from "./wire.ts";

export interface PushBounds {
  readonly commits: number;
  readonly streams: number;
  /** Characters of the events' JSON: a push is measured before it is encoded, so this leaves room for UTF-8. */
  readonly size: number;
}

/**
 * The oldest pending entries that go into one push: in order, within the bounds, at least one where there is one.
 *
 * @param items pending entries with the size of each, in the order of `seq`
 */
export function nextPush<T extends { readonly entry: PendingEntry; readonly size: number }>(
  items: Iterable<T>,
  bounds: PushBounds,
): readonly T[] {
  const batch: T[] = [];
  const streams = new Set<string>();
  let size = 0;
  for (const item of items) {
    size += item.size;
    streams.add(item.entry.streamId);
    if (batch.length > 0 && (batch.length >= bounds.commits || streams.size > bounds.streams || size > bounds.size)) break;
    batch.push(item);
  }
  return batch;
}

export interface PushOutcome {
  /** The edge has these, by `seq`. */
  readonly acknowledged: readonly number[];
  /** The edge refused these: each is parked, and every later one of its stream with it. */
  readonly refused: readonly { readonly entry: PendingEntry; readonly reason: ParkReason }[];
}

/** @param results as the edge gave them: one for each entry, in order */
export function judgePush(entries: readonly PendingEntry[], results: readonly PushResult[]): PushOutcome {
  assert(entries.length === results.length, "a push is answered commit by commit");
  const acknowledged: number[] = [];
  const refused: { entry: PendingEntry; reason: ParkReason }[] = [];
  const refusedStreams = new Set<string>();
  for (const [i, entry] of entries.entries()) {
    const result = results[i];
    assert(result !== undefined, "a push is answered commit by commit");
    switch (result.status) {
      case "committed":
      case "duplicate":
        acknowledged.push(entry.seq);
        break;
      case "conflict":
      case "rejected":
        if (!refusedStreams.has(entry.streamId)) refused.push({ entry, reason: refusalReason(entry, result) });
        refusedStreams.add(entry.streamId);
        break;
      case "skipped":
        break;
      default:
        unreachable(result);
    }
  }
  return { acknowledged, refused };
}

function refusalReason(entry: PendingEntry, result: Extract<PushResult, { status: "conflict" | "rejected" }>): ParkReason {
  if (result.status === "conflict") return conflictReason(entry.expectedVersion, toVersion(result.actualVersion));
  return rejection(result.code, result.detail);
}

/** Why an entry is parked that the edge will not take for another reason than its version. */
export function rejection(code: ErrorCode, detail: string = ERROR_CODES[code].title): ParkReason {
  return { code, message: detail, actualVersion: NO_STREAM };
}
