/**
 * Invariant 7: a subscription handles every event of its filter at least once, in order, and its checkpoint never passes an
 * unhandled event. The consumer of the worlds has no filter, so its order is the order of positions.
 */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class ConsumerChecker extends Checker {
  readonly name = "7 consumer";
  /** The last position that each device's consumer has handled, of the history that it follows. */
  readonly #handled = new Map<string, number>();
  readonly #ids = new Map<string, Set<string>>();
  /** The feed as it is on each device. */
  readonly #there = new Map<string, readonly ConfirmedEvent[]>();

  see(observation: Observation): void {
    switch (observation.kind) {
      case "reset":
        this.#handled.delete(observation.device);
        this.#ids.delete(observation.device);
        return;
      case "handled": {
        const { device, event } = observation;
        const last = this.#handled.get(device) ?? 0;
        this.demand(event.position <= last + 1, () => `${device}: #${event.position} was handled, and #${last + 1} was not`);
        this.#handled.set(device, Math.max(last, event.position));
        this.#ids.set(device, (this.#ids.get(device) ?? new Set()).add(event.id));
        return;
      }
      case "checkpoint": {
        const { device, position } = observation;
        const last = this.#handled.get(device) ?? 0;
        this.demand(position <= last, () => `${device}: the checkpoint stands at #${position}, and #${last} was the last to be handled`);
        return;
      }
      case "all":
        this.#there.set(observation.device, observation.events);
        return;
      default:
    }
  }

  override finish(): void {
    for (const [device, ids] of this.#ids) {
      for (const { id, position } of this.#there.get(device) ?? [])
        this.demand(ids.has(id), () => `${device}: ${id} at #${position} was never handled`);
    }
  }
}
