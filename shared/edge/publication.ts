/**
 * The log's decision about a published run. A run is events of one stream on consecutive versions that need positions.
 *
 *     log's head of the stream:        …  5
 *     run 6–8   takes 6–8              │──▲ ▲ ▲
 *     run 4–7   takes 6–7 (has 4–5)    │
 *     run 3–5   duplicate              │
 *     run 8–9   gap: resend from 6     │
 *
 * Invariants (numbers of docs/architecture.md):
 *  2. positions are given when events are inserted, one after the other, so they have no gap and no repeat;
 *  4. a stream's events are in the log in version order, no matter who published them, in which order and how often.
 *
 * What it does not do: choose between two writers of a stream. A stream has one writer, its Durable Object.
 */
import { assert } from "../assert.ts";
import { toVersion, type Version } from "../order.ts";

export type PublicationDecision =
  /** The events from this version on are new. They are stored after the head. */
  | { readonly kind: "take"; readonly from: Version }
  /** The log has all of them. */
  | { readonly kind: "duplicate" }
  /** Events are missing between the head and the run: send again from `head + 1`. */
  | { readonly kind: "gap"; readonly head: Version };

/** @param head the stream's last version in the log; 0 if the log has none of its events */
export function decidePublication(
  head: Version,
  run: { readonly firstVersion: Version; readonly lastVersion: Version },
): PublicationDecision {
  assert(run.firstVersion >= 1 && run.firstVersion <= run.lastVersion, "a run has at least one event and starts at 1 or later");
  if (run.lastVersion <= head) return { kind: "duplicate" };
  if (run.firstVersion > head + 1) return { kind: "gap", head };
  return { kind: "take", from: toVersion(head + 1) };
}
