/**
 * The decisions of a restore: which events of a backup does a store take? A backup is read in the order of its positions, in parts, and each
 * part may arrive again.
 *
 *     stream has   1 2 3                        log has staged   #1 … #40
 *     part   2 3 4 5   equal 2–3, takes 4–5     part  #31 … #50  takes #41 … #50
 *     part   2 3       stored                   part  #31 … #40  nothing to take
 *     part   2 x 4     differs at 3             part  #42 …      gap: send again from #41
 *     part   5 6       gap: send again from 4
 *
 * Invariants (numbers of docs/architecture.md):
 *  2. a stream takes the next versions, and the log the next positions, so neither gets a gap or a repeat;
 *  8. a recorded event does not change: one that the store has must be equal, and only the ones after it are taken.
 *
 * What it does not do: decide when the restored events become visible. The log does that, for all of them at once.
 */
import { assert } from "../assert.ts";
import { UnavailableError } from "../errors.ts";
import { differingField, type RecordedContent } from "../event/recorded.ts";

export type RestoreDecision =
  /** The stream has all of them, and they are equal. */
  | { readonly kind: "stored" }
  /** The events from this version on are new. The ones before are equal. */
  | { readonly kind: "take"; readonly from: number }
  /** The stream has another event at this version. */
  | { readonly kind: "differs"; readonly version: number; readonly field: string }
  /** Events are missing between the stream's version and the part. */
  | { readonly kind: "gap"; readonly version: number };

/**
 * @param version the stream's last version, with what was restored so far
 * @param stored the stream's events from `firstVersion` on, as many as the part covers
 */
export function decideRestored(
  version: number,
  firstVersion: number,
  events: readonly RecordedContent[],
  stored: readonly RecordedContent[],
): RestoreDecision {
  assert(firstVersion >= 1, "versions begin at 1");
  if (firstVersion > version + 1) return { kind: "gap", version };
  const common = Math.min(events.length, version - firstVersion + 1);
  for (let i = 0; i < common; i++) {
    const [event, other] = [events[i], stored[i]];
    assert(event !== undefined && other !== undefined, "the stream's events are given as far as the part covers them");
    const field = differingField(event, other);
    if (field !== undefined) return { kind: "differs", version: firstVersion + i, field };
  }
  return common === events.length ? { kind: "stored" } : { kind: "take", from: firstVersion + common };
}

/**
 * How many events of a part the log leaves out, because it has staged them already; undefined if events are missing before the part.
 *
 * @param staged the position up to which the log has staged the backup
 */
export function alreadyStaged(staged: number, firstPosition: number, count: number): number | undefined {
  if (firstPosition > staged + 1) return undefined;
  return Math.min(count, staged + 1 - firstPosition);
}

/** Seconds. */
const RETRY_AFTER = 10;

/** The error for everybody who has to wait until the restore has ended. */
export function beingRestored(): UnavailableError {
  return new UnavailableError("The store is being restored from a backup: retry later.", { retryAfter: RETRY_AFTER });
}
