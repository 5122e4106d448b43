/**
 * Devices whose store was restored from an older copy. A restored log keeps its id. So data that a device derived from the lost events may
 * pass for data derived from the events that replaced them, if the device was reset, or crashed, before the tab that keeps this data has
 * noticed. So nothing is promised of derived data there. Events themselves must keep all promises.
 */
import type { Observation } from "./observation.ts";

export class PutBack {
  readonly #stores = new Map<string, string>();
  readonly #putBack = new Set<string>();

  see(observation: Observation): void {
    if (observation.kind === "opened") this.#stores.set(observation.device, observation.store);
    else if (observation.kind === "replaced" && observation.copiedAt !== null) this.#putBack.add(observation.store);
  }

  hasStore(store: string): boolean {
    return this.#putBack.has(store);
  }

  has(device: string): boolean {
    return this.hasStore(this.#stores.get(device) ?? "");
  }
}
