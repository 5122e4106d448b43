/** When all is quiet, nothing that an app has called for long before is still open: a call ends, whatever becomes of it. */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

/** Milliseconds after which a call must have ended: a request may wait half a minute, and be made again. */
export const LONGEST_CALL = 120_000;

export class CallsChecker extends Checker {
  readonly name = "calls";

  see(observation: Observation, now: number): void {
    if (observation.kind !== "call-open") return;
    const { tab, since } = observation;
    this.demand(since === undefined || now - since < LONGEST_CALL, () => `${tab}: what was called for at ${since} has not ended at ${now}`);
  }
}
