/** A stream's state as it changes. Of many changes at once one is told: a page of the feed is one, not one for each event. */
import type { Folding } from "../../shared/device/decider.ts";
import type { StoreInternals } from "../internals.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import type { Aggregate, Aggregates, Base } from "./aggregates.ts";

export interface LiveState<State> extends Aggregate<State> {
  /** `loading` until it was read the first time. */
  readonly status: "loading" | "ready" | "failed";
  /** Why it can't be read, where it can't; the state is the last that was. */
  readonly error?: unknown;
}

export function watchStream<State>(
  internals: StoreInternals,
  aggregates: Aggregates,
  initial: LiveState<State>,
  decider: Folding<State>,
  set: (value: LiveState<State>) => void,
): () => void {
  let base: Base<State> | undefined;
  let shown = initial;
  let unconfirmed: string | undefined;
  return rerunOnChange(internals, async (isWanted) => {
    let next: LiveState<State>;
    try {
      const read = await aggregates.readFrom(initial.streamId, decider, base);
      base = read.base;
      // Confirmed events stay as they are, and events of other streams change nothing here.
      const isSame = shown.status === "ready" && shown.version === read.aggregate.version && unconfirmed === read.unconfirmed;
      unconfirmed = read.unconfirmed;
      if (isSame) return;
      next = { ...read.aggregate, status: "ready" };
    } catch (error) {
      next = { ...shown, status: "failed", error };
    }
    if (!isWanted()) return;
    shown = next;
    set(next);
  });
}
