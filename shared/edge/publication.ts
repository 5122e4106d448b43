/**
 * The log's decision about a published run. A run is events of one stream on consecutive versions that need positions.
 *
 *     log's head of the stream:        …  5
 *     run 6–8   takes 6–8              │──▲ ▲ ▲
 *     run 4–7   takes 6–7 (has 4–5)    │
 *     run 3–5   duplicate              │
 *     run 8–9   gap: resend from 6     │
 *     run 4–7   diverged at 5          │  the log has another event at 5
 *     run 6–8   diverged at 5          │  the same: the run says which event is before it
 *
 * A stream has one writer, its Durable Object. If the log has another event at one of its versions, one of the two was put back to an older
 * copy, or deleted. Then nothing of the run is taken: an event must not get the position of another one.
 *
 * Invariants (numbers of docs/architecture.md):
 *  2. positions are given when events are inserted, one after the other, so they have no gap and no repeat;
 *  4. a stream's events are in the log in version order, no matter who published them, in which order and how often;
 *  8. an event that the log has does not change.
 *
 * What it does not do: choose between the stream and the log. Who runs the edge does.
 */
import { assert } from "../assert.ts";
import { StreamDivergedError } from "../errors.ts";
import { toVersion, type Version } from "../order.ts";

export type PublicationDecision =
  /** The events from this version on are new. They are stored after the head. */
  | { readonly kind: "take"; readonly from: Version }
  /** The log has all of them. */
  | { readonly kind: "duplicate" }
  /** Events are missing between the head and the run: send again from `head + 1`. */
  | { readonly kind: "gap"; readonly head: Version }
  /** The log has another event at this version. */
  | { readonly kind: "diverged"; readonly version: Version };

/** How the run and the log compare. */
export interface Comparison {
  /** The first version of the run, or the one before it, at which the log has another event. */
  readonly differsAt?: Version | undefined;
  /** The version at which the stream and the log differed when they were last compared. */
  readonly divergedAt?: Version | undefined;
}

/** @param head the stream's last version in the log; 0 if the log has none of its events */
export function decidePublication(
  head: Version,
  run: { readonly firstVersion: Version; readonly lastVersion: Version },
  { differsAt, divergedAt }: Comparison = {},
): PublicationDecision {
  assert(run.firstVersion >= 1 && run.firstVersion <= run.lastVersion, "a run has at least one event and starts at 1 or later");
  // Nothing is taken or compared behind events that differ: the stream sends these again.
  if (divergedAt !== undefined && run.firstVersion > divergedAt) return { kind: "gap", head: toVersion(divergedAt - 1) };
  if (differsAt !== undefined) return { kind: "diverged", version: differsAt };
  if (run.lastVersion <= head) return { kind: "duplicate" };
  if (run.firstVersion > head + 1) return { kind: "gap", head };
  return { kind: "take", from: toVersion(head + 1) };
}

/** Milliseconds that a stream takes to publish what it recorded, unless something held it up. */
const USUAL_DELAY = 1_000;

/**
 * Whether events are published so late that the log may have had them before, and lost them. Then it looks whether it lacks any, once after a
 * wake.
 *
 * @param recordedAt of the first of them, by the stream's clock; milliseconds since 1970
 * @param now by the log's
 */
export function isLate(recordedAt: number, now: number): boolean {
  return now - recordedAt > USUAL_DELAY;
}

/**
 * Whether a stream and the log agree, by what the log has said. The log gets each event from its stream, so it never has more of a stream than
 * the stream itself.
 *
 * @param version the stream's, read after the log's answer
 * @param head the stream's last version in the log
 * @param compared the log is known to have the stream's events up to this version: those behind it may be others
 * @returns the first version at which they may differ; undefined if they agree
 */
export function behindLog(version: number, head: number, compared: number): number | undefined {
  return head > version ? Math.min(version, compared) + 1 : undefined;
}

/** The error for everybody who appends to a stream that diverged. @param version the first one at which the stream and the log differ */
export function divergedError(streamId: string, version: number): StreamDivergedError {
  const message = `${streamId}: the stream and the store's log hold different events from version ${version} on. One of them was put back to an older copy. Nothing is appended until who runs the edge has repaired it; what was sent waits.`;
  return new StreamDivergedError(message, { streamId, version });
}
