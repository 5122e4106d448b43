/**
 * Invariant 7 for a subscription on a device: every event of its filter is handled at least once, in order, and the checkpoint passes no
 * event that was neither handled nor is a dead letter. If a device's scope gets wider, the added events come in between. So the order is
 * checked on devices that follow everything. That no event is left out is checked on all devices.
 */

import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { OF_SUBSCRIPTION } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

export class SubscriptionChecker extends Checker {
  readonly name = "7 subscription";
  readonly #scopes = new Map<string, Scope>();
  readonly #changed = new Set<string>();
  readonly #handled = new Map<string, Set<string>>();
  readonly #deadLetters = new Map<string, readonly string[]>();
  /** Where each stood when it was last seen, and the feed, and what of it the device followed, as they were then. */
  readonly #seen = new Map<string, { readonly position: number; readonly events: readonly ConfirmedEvent[]; readonly scope: Scope }>();

  see(observation: Observation): void {
    switch (observation.kind) {
      case "opened":
        if (this.#scopes.has(observation.device)) this.#changed.add(observation.device);
        this.#scopes.set(observation.device, observation.scope);
        return;
      case "handed":
        if (!observation.isReplay) this.#isInOrder(observation);
        if (observation.isHandled) this.#of(observation.device).add(observation.event.id);
        return;
      case "subscription": {
        const { device, position, deadLetters, events } = observation;
        this.demand(new Set(deadLetters).size === deadLetters.length, () => `${device}: an event is listed as set aside twice`);
        this.#deadLetters.set(device, deadLetters);
        this.#seen.set(device, { position, events: [...events], scope: this.#scopes.get(device) ?? null });
        const passed = events.filter((event) => event.position <= position && OF_SUBSCRIPTION.stream(event.streamId));
        if (this.#followsAll(device)) for (const event of passed.slice(-LOOKS)) this.#isDealtWith(device, event, position);
        return;
      }
      default:
    }
  }

  #isInOrder({ device, event, events }: Observation & { kind: "handed" }): void {
    const before = events.findLast(({ position, streamId }) => position < event.position && OF_SUBSCRIPTION.stream(streamId));
    if (before !== undefined && this.#followsAll(device)) this.#isDealtWith(device, before, event.position);
  }

  #isDealtWith(device: string, { id, position }: ConfirmedEvent, at: number): void {
    const isListed = this.#deadLetters.get(device)?.includes(id) ?? false;
    this.demand(
      isListed || this.#of(device).has(id),
      () => `${device}: ${id} at #${position} was neither handled nor set aside, and the subscription is at #${at}`,
    );
  }

  override finish(): void {
    for (const [device, { position, events, scope }] of this.#seen) {
      const passed = events.filter((event) => event.position <= position && OF_SUBSCRIPTION.stream(event.streamId));
      for (const event of passed) if (isWithin(scope, event.streamId)) this.#isDealtWith(device, event, position);
    }
  }

  #followsAll(device: string): boolean {
    return this.#scopes.get(device) === null && !this.#changed.has(device);
  }

  #of(device: string): Set<string> {
    let ids = this.#handled.get(device);
    if (ids === undefined) {
      ids = new Set();
      this.#handled.set(device, ids);
    }
    return ids;
  }
}

/** The last that were passed; those before were looked at before. */
const LOOKS = 5;
