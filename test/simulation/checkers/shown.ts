/**
 * When all is quiet, what a tab shows by itself (its status, its conflicts, its live values) is what its store holds. A conflict that was
 * resolved is listed no more as soon as the app knows.
 */
import { ledgerAfter } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ShownChecker extends Checker {
  readonly name = "shown";

  see(observation: Observation): void {
    if (observation.kind === "status") {
      const { tab, shown, held } = observation;
      const isSame = shown.pending === held.pending && shown.conflicts === held.conflicts && shown.listed === held.conflicts;
      this.demand(isSame, () => `${tab} shows ${JSON.stringify(shown)}, and the store holds ${JSON.stringify(held)}`);
    } else if (observation.kind === "resolved") {
      const { device, conflict, isDone, isListed } = observation;
      this.demand(!isDone || !isListed, () => `${device} has resolved a conflict of ${conflict.streamId}, and still lists it`);
    } else if (observation.kind === "live") {
      const { tab, streamId, state, version, events } = observation;
      const bodies = events.map(({ body }) => body);
      const expected = ledgerAfter(1, bodies);
      this.demand(
        state.digest === expected.digest && version === events.length,
        () =>
          `${tab} shows ${streamId} at @${version} as ${JSON.stringify(state)}, and it is ${JSON.stringify(expected)} at @${events.length}`,
      );
    }
  }
}
