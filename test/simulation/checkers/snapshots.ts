/** A stream's state equals the fold of its events from the first one, from whatever snapshot it was read. */
import { fold } from "../../../shared/device/decider.ts";
import { ledgerOf } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class SnapshotChecker extends Checker {
  readonly name = "snapshots";

  see(observation: Observation): void {
    if (observation.kind !== "state") return;
    const { device, streamId, app, state, version, events } = observation;
    const decider = ledgerOf(app);
    const expected = fold(
      decider,
      decider.initialState,
      events.map(({ body }) => body),
    );
    const isSame = state.events === expected.events && state.digest === expected.digest && version === events.length;
    this.demand(isSame, () => `${device}: ${streamId} is read as ${told(state)} at @${version}, and its events make ${told(expected)}`);
  }
}

function told(state: unknown): string {
  return JSON.stringify(state);
}
