/**
 * Invariant 7 for a named subscription of a device: every event of its filter is handled at least once, in order, and the checkpoint passes
 * no event that was neither handled nor is a dead letter. Whoever restarts it gets all events again. If a device's scope gets wider, the
 * added events come in between. So the order is checked on devices that follow everything. That no event is left out is checked on all
 * devices.
 *
 * Each history has an order of its own. If a device has a history that was replaced, it is reset, unless a crash takes what it had of that
 * history. Then it follows the new one as a new device does, and nothing tells it that there was another.
 */
import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { OF_SUBSCRIPTION } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

interface Followed {
  readonly store: string;
  scope: Scope;
  /** The device has not always followed everything, or somebody has moved the subscription. */
  isMixed: boolean;
  /** When the device crashed last, as the numbers below; 0 if it never did. */
  crashedAt: number;
  /**
   * When each event was handed over first, and handled first, as numbers that grow. If the log was replaced, nothing counts as handed over
   * that was so before the crash.
   */
  readonly handedAt: Map<string, number>;
  readonly handledAt: Map<string, number>;
  /** When each event was handled last. */
  readonly lastAt: Map<string, number>;
  /** When a tab began to restart the subscription. */
  readonly restartsAt: Map<string, number>;
  /** When the last restart began that was done: all events come again. */
  restartedAt: number;
  /** How often the handler has failed on each event. */
  readonly failures: Map<string, number>;
  /** The last look. */
  seen: { readonly position: number; readonly events: readonly ConfirmedEvent[]; readonly deadLetters: readonly string[] } | undefined;
}

export class SubscriptionChecker extends Checker {
  readonly name = "7 subscription";
  readonly #devices = new Map<string, Followed>();
  /** Stores whose log was ever replaced. */
  readonly #replaced = new Set<string>();
  #steps = 0;

  see(observation: Observation): void {
    switch (observation.kind) {
      case "opened": {
        const known = this.#devices.get(observation.device);
        if (known === undefined) this.#devices.set(observation.device, newFollowed(observation.store, observation.scope));
        else if (known.scope?.join() !== observation.scope?.join()) Object.assign(known, { scope: observation.scope, isMixed: true });
        return;
      }
      case "handed": {
        const followed = this.#of(observation.device);
        const { id } = observation.event;
        const at = ++this.#steps;
        if (!followed.handedAt.has(id)) followed.handedAt.set(id, at);
        if (!observation.isHandled) followed.failures.set(id, (followed.failures.get(id) ?? 0) + 1);
        else {
          followed.lastAt.set(id, at);
          if (!followed.handledAt.has(id)) followed.handledAt.set(id, at);
        }
        return;
      }
      case "crashed": {
        const followed = this.#of(observation.device);
        followed.crashedAt = this.#steps;
        return this.#forgetFormer(followed);
      }
      case "replaced":
        this.#replaced.add(observation.store);
        for (const followed of this.#devices.values()) this.#forgetFormer(followed);
        return;
      case "reset":
        this.#of(observation.device).isMixed = true;
        return;
      case "subscription-reset": {
        const followed = this.#of(observation.device);
        followed.isMixed = true;
        if (!observation.isDone) followed.restartsAt.set(observation.tab, this.#steps);
        else followed.restartedAt = Math.max(followed.restartedAt, followed.restartsAt.get(observation.tab) ?? 0);
        return;
      }
      case "subscription": {
        const followed = this.#of(observation.device);
        const { device, position, deadLetters, events } = observation;
        this.demand(new Set(deadLetters).size === deadLetters.length, () => `${device}: an event is a dead letter twice`);
        followed.seen = { position, events: [...events], deadLetters };
        this.#isInOrder(device, followed);
        return;
      }
      default:
    }
  }

  /** What was handed over before the crash may have been of a former history, in its order. */
  #forgetFormer({ store, crashedAt, handedAt }: Followed): void {
    if (!this.#replaced.has(store)) return;
    for (const [id, at] of handedAt) if (at <= crashedAt) handedAt.delete(id);
  }

  /** Nothing was handed over before each event of the filter in front of it was handled, or could have become a dead letter. */
  #isInOrder(device: string, { isMixed, scope, seen, handedAt, handledAt, failures }: Followed): void {
    if (isMixed || scope !== null) return;
    let before: ConfirmedEvent | undefined;
    for (const event of seen?.events ?? []) {
      if (!OF_SUBSCRIPTION.stream(event.streamId)) continue;
      const at = handedAt.get(event.id);
      const last = before;
      before = event;
      if (at === undefined || last === undefined || (failures.get(last.id) ?? 0) > RETRIES) continue;
      this.demand(
        (handledAt.get(last.id) ?? Number.POSITIVE_INFINITY) < at,
        () => `${device}: ${event.id} at #${event.position} was handed over before ${last.id} at #${last.position} was handled`,
      );
    }
  }

  override finish(): void {
    for (const [device, { seen, scope, lastAt, restartedAt }] of this.#devices) {
      if (seen === undefined) continue;
      const { position, events, deadLetters } = seen;
      for (const event of events) {
        if (event.position > position || !OF_SUBSCRIPTION.stream(event.streamId) || !isWithin(scope, event.streamId)) continue;
        this.demand(
          (lastAt.get(event.id) ?? 0) > restartedAt || deadLetters.includes(event.id),
          () =>
            `${device}: ${event.id} at #${event.position} was not handled since the last restart, and is no dead letter, and the subscription is at #${position}`,
        );
      }
    }
  }

  #of(device: string): Followed {
    let followed = this.#devices.get(device);
    if (followed === undefined) {
      followed = newFollowed("", null);
      this.#devices.set(device, followed);
    }
    return followed;
  }
}

/** Of the worlds' subscriptions: an event on which the handler fails more often is a dead letter, or stops the subscription. */
export const RETRIES = 2;

function newFollowed(store: string, scope: Scope): Followed {
  const times = { crashedAt: 0, handedAt: new Map(), handledAt: new Map(), lastAt: new Map(), restartsAt: new Map(), restartedAt: 0 };
  return { ...times, store, scope, isMixed: false, failures: new Map(), seen: undefined };
}
