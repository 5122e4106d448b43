/**
 * Devices whose store was put back from an older copy. A log that was put back goes by the id that it had, so that what a device derived
 * from the events that are gone may pass for derived from those in their place, where the device was reset, or crashed, before the tab
 * that keeps it has looked. So nothing is promised of it there; events themselves are held to all promises.
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
