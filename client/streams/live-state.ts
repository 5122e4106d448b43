/** A stream's state as it changes. Many changes at once are one notification: one for a page of the feed, and not one for each event. */
import type { Folding } from "../../shared/decider/decider.ts";
import { isSameCopy } from "../../shared/device/same-copy.ts";
import type { StoreInternals } from "../internals.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import type { Aggregate, Aggregates, Base } from "./aggregates.ts";

export interface LiveState<State> extends Aggregate<State> {
  /** `loading` until the state was read the first time. */
  readonly status: "loading" | "ready" | "failed";
  /** Why the state can't be read, if `failed`. The state is then the last one that was read. */
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
      await internals.followed(initial.streamId);
      const read = await aggregates.readFrom(initial.streamId, decider, base);
      // Confirmed events of one copy of the log never change. So the same version and the same pending events mean the same state: another
      // stream has changed.
      const isSameLog = base !== undefined && isSameCopy(base, read.base);
      base = read.base;
      const isSame = isSameLog && shown.status === "ready" && shown.version === read.aggregate.version && unconfirmed === read.unconfirmed;
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
