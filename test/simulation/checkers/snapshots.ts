/** A stream's state equals the fold of its events from the first one, from whatever snapshot it was read. */
import { ledgerAfter } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class SnapshotChecker extends Checker {
  readonly name = "snapshots";

  see(observation: Observation): void {
    if (observation.kind !== "state") return;
    const { device, streamId, app, state, version, events } = observation;
    const bodies = events.map(({ body }) => body);
    const expected = ledgerAfter(app, bodies);
    const isSame = state.events === expected.events && state.digest === expected.digest && version === events.length;
    this.demand(isSame, () => `${device}: ${streamId} is read as ${told(state)} at @${version}, and its events make ${told(expected)}`);
  }
}

function told(state: unknown): string {
  return JSON.stringify(state);
}
