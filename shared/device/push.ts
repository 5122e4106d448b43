/**
 * Which pending commits go into one push, and what each one's answer makes of it.
 *
 *     committed, duplicate ──► taken: not sent again, and confirmed when the feed brings it
 *     conflict             ──► contested: the feed brings what stands against it, and with that it is decided
 *     conflict that no event of the feed explains, rejected ──► refused: parked, and every later commit of its stream with it
 *     skipped              ──► its stream's earlier commit was one of those: what becomes of that one, becomes of it
 *
 * Invariant 6 of the design's section 9: every commit that was sent gets exactly one of these answers.
 */
import { assert } from "../assert.ts";
import type { ErrorCode } from "../errors.ts";
import { exactVersion } from "../expected-version.ts";
import { NO_STREAM, toVersion } from "../order.ts";
import type { PushResult } from "../wire/wire.ts";
import { conflictReason, type ParkReason, type PendingEntry } from "./outbox.ts";

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

export interface Refused {
  readonly entry: PendingEntry;
  readonly reason: ParkReason;
}

export interface PushOutcome {
  /** The edge has these. */
  readonly taken: readonly PendingEntry[];
  /** Others were first: the feed will say who. */
  readonly contested: readonly PendingEntry[];
  /** The edge will never have these: each is parked, and every later one of its stream with it. */
  readonly refused: readonly Refused[];
}

/** @param results as the edge gave them: one for each entry, in order */
export function judgePush(entries: readonly PendingEntry[], results: readonly PushResult[]): PushOutcome {
  const taken: PendingEntry[] = [];
  const contested: PendingEntry[] = [];
  const refused: Refused[] = [];
  const ended = new Set<string>();
  for (const [i, entry] of entries.entries()) {
    const result = results[i];
    assert(result !== undefined, "a push is answered commit by commit");
    switch (result.status) {
      case "committed":
      case "duplicate":
        taken.push(entry);
        break;
      case "conflict":
      case "rejected":
        if (ended.has(entry.streamId)) break;
        ended.add(entry.streamId);
        if (result.status === "conflict" && isExplained(entry, result.actualVersion)) contested.push(entry);
        else refused.push({ entry, reason: refusalReason(entry, result) });
        break;
      case "skipped":
        ended.add(entry.streamId);
        break;
      default:
        result satisfies never;
    }
  }
  return { taken, contested, refused };
}

/** A stream that went further than the commit believes has events that this device will be brought. */
function isExplained({ expectedVersion }: PendingEntry, actualVersion: number): boolean {
  const believed = exactVersion(expectedVersion);
  return believed !== undefined && actualVersion > believed;
}

function refusalReason(entry: PendingEntry, result: Extract<PushResult, { status: "conflict" | "rejected" }>): ParkReason {
  if (result.status === "conflict") return conflictReason(entry.expectedVersion, toVersion(result.actualVersion));
  return rejection(result.code, result.detail);
}

/** Why an entry is parked that the edge will not take for another reason than its version. */
export function rejection(code: ErrorCode, detail: string): ParkReason {
  return { code, message: detail, actualVersion: NO_STREAM };
}
