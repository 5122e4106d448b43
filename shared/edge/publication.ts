/**
 * The log's decision about a published run: contiguous versions of one stream that ask for positions.
 *
 *     log's head of the stream:        …  5
 *     run 6–8   takes 6–8              │──▲ ▲ ▲
 *     run 4–7   takes 6–7, 4–5 stood   │
 *     run 3–5   duplicate              │
 *     run 8–9   gap: resend from 6     │
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  2. positions are given at insertion, one after the other, so that they have neither gap nor repeat;
 *  4. a stream's events stand in version order, whoever published them, in whatever order, however often.
 *
 * What it does not do: choose between two writers of a stream. A stream has one writer, its object.
 */
import { assert } from "../assert.ts";
import { toVersion, type Version } from "../order.ts";

export type PublicationDecision =
  /** The events from this version on are new and follow the head. */
  | { readonly kind: "take"; readonly from: Version }
  /** All of them stand in the log. */
  | { readonly kind: "duplicate" }
  /** Events are missing between the head and the run: send again from `head + 1`. */
  | { readonly kind: "gap"; readonly head: Version };

/** @param head the last version of the stream that stands in the log; 0 where none does */
export function decidePublication(
  head: Version,
  run: { readonly firstVersion: Version; readonly lastVersion: Version },
): PublicationDecision {
  assert(run.firstVersion >= 1 && run.firstVersion <= run.lastVersion, "a run has at least one event and starts at 1 or later");
  if (run.lastVersion <= head) return { kind: "duplicate" };
  if (run.firstVersion > head + 1) return { kind: "gap", head };
  return { kind: "take", from: toVersion(head + 1) };
}
