/**
 * Stores whose log was restored from an older copy, and the devices that follow them. Only the checker of shelves (`stock.ts`) asks: a
 * commit that was decided on lost events may come after the events that replaced them, so a shelf may get below zero there.
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
