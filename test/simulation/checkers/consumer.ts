/**
 * Invariant 7 for a subscription without a name: in its tab it gets every event of its filter, in order. It has no filter in these worlds,
 * so its order is the order of positions.
 */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ConsumerChecker extends Checker {
  readonly name = "7 consumer";
  /** The last position that was handled in each tab, by device; undefined if it may be any: the device was reset. */
  readonly #last = new Map<string, Map<string, number | undefined>>();

  see(observation: Observation): void {
    if (observation.kind === "reset") {
      const tabs = this.#of(observation.device);
      for (const tab of tabs.keys()) tabs.set(tab, undefined);
    } else if (observation.kind === "handled") {
      const { device, tab, event } = observation;
      const tabs = this.#of(device);
      const last = tabs.has(tab) ? tabs.get(tab) : 0;
      const isNext = last === undefined || event.position <= last + 1;
      this.demand(isNext, () => `${tab}: #${event.position} was handled, and #${(last ?? 0) + 1} was not`);
      tabs.set(tab, Math.max(last ?? 0, event.position));
    }
  }

  #of(device: string): Map<string, number | undefined> {
    let tabs = this.#last.get(device);
    if (tabs === undefined) {
      tabs = new Map();
      this.#last.set(device, tabs);
    }
    return tabs;
  }
}
