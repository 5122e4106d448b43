/** Invariant 2: versions of a stream are 1 … n, and positions of a store are 1 … n. Neither has a gap or a repeat. */
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class DenseChecker extends Checker {
  readonly name = "2 dense";
  /** Whether a device has always followed all of its store. */
  readonly #whole = new Map<string, boolean>();

  see(observation: Observation): void {
    switch (observation.kind) {
      case "opened":
        this.#whole.set(observation.device, observation.scope === null && this.#whole.get(observation.device) !== false);
        return;
      case "stream":
        return this.#follow(`${observation.device}:${observation.streamId}@`, observation.events, ({ version }) => version, 1);
      case "edge-stream":
        return this.#follow(`${observation.store}/${observation.streamId}@`, observation.events, ({ version }) => version, 1);
      case "all":
        if (this.#whole.get(observation.device) === true)
          this.#follow(`${observation.device}:#`, observation.events, ({ position }) => position, 1);
        return;
      case "tailed": {
        const { store, event, after } = observation;
        this.demand(event.position === after + 1, () => `${store}: #${event.position} comes behind #${after} in a tail`);
        return;
      }
      case "page": {
        const { store, after, page } = observation;
        this.#follow(`${store}#`, page.events, ({ position }) => position, after + 1);
        this.demand(
          page.position === after + page.events.length && page.position <= page.head,
          () =>
            `${store}: a page after #${after} has ${page.events.length} events and ends at #${page.position}, the head is #${page.head}`,
        );
        return;
      }
      default:
    }
  }

  #follow<E>(where: string, events: readonly E[], place: (event: E) => number, first: number): void {
    for (const [i, event] of events.entries()) {
      this.demand(place(event) === first + i, () => `${where}${place(event)} stands where ${first + i} belongs`);
    }
  }
}
