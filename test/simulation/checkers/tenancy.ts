/**
 * Invariant 9: nobody learns an event, a stream id, a type or a count that their grants do not cover: not of another store, and not by a
 * token that is no longer valid.
 */
import type { EventBody } from "../../../shared/event/event.ts";
import { keyOf } from "../identity.ts";
import { Checker } from "./checker.ts";
import type { HeldToken, Observation } from "./observation.ts";

export class TenancyChecker extends Checker {
  readonly name = "9 tenancy";
  /** The store that each event, by its key, was meant for, and when it was first sent. */
  readonly #meant = new Map<string, { readonly store: string; readonly at: number }>();
  readonly #counts = new Map<string, number>();
  readonly #devices = new Map<string, string>();
  readonly #tokens = new Map<string, HeldToken>();

  see(observation: Observation, now: number): void {
    switch (observation.kind) {
      case "opened":
        this.#devices.set(observation.device, observation.store);
        return;
      case "token":
        this.#tokens.set(observation.device, observation.token);
        return;
      case "called":
        return this.#mean(this.#devices.get(observation.device) ?? "", observation.commit.events.map(keyOf), now);
      case "ruled":
        // The edge may have them already, and gets others in their place.
        if (observation.isReplaced) this.#add(this.#devices.get(observation.device) ?? "", observation.events.length);
        return;
      case "decided":
        return this.#add(this.#devices.get(observation.device) ?? "", 1);
      case "sent":
        return this.#mean(observation.store, observation.commit.events.map(keyOf), now);
      case "gives":
        return this.#mean(observation.store, [observation.key], now);
      case "stream":
        for (const { body, isPending } of observation.events) this.#onDevice(observation.device, body, isPending);
        return;
      case "page":
        this.#atEdge(observation, observation.page.events);
        this.demand(
          observation.page.head <= (this.#counts.get(observation.store) ?? 0),
          () =>
            `${observation.store}: the head is #${observation.page.head}, and ${this.#counts.get(observation.store) ?? 0} events were ever meant for it`,
        );
        return;
      case "edge-stream":
        return this.#atEdge(observation, observation.events);
      case "denied": {
        const { store, told, token, sentAt } = observation;
        const { log, head } = told;
        if (!isGood(token, store, sentAt))
          this.demand(log === undefined && head === undefined, () => `${store}: a refusal tells of ${log} #${head}`);
        return;
      }
      default:
    }
  }

  #mean(store: string, keys: readonly string[], at: number): void {
    for (const key of keys) {
      if (this.#meant.has(key)) continue;
      this.#meant.set(key, { store, at });
      this.#add(store, 1);
    }
  }

  #add(store: string, events: number): void {
    this.#counts.set(store, (this.#counts.get(store) ?? 0) + events);
  }

  #atEdge({ store, token, sentAt }: Observation & { kind: "page" | "edge-stream" }, events: readonly EventBody[]): void {
    this.demand(isGood(token, store, sentAt), () => `${store} was read by a token for ${token.stores.join(" ")} until ${token.until}`);
    for (const key of events.map(keyOf))
      this.demand(this.#meant.get(key)?.store === store, () => `${store} shows ${key}, which is none of its events`);
  }

  /** What came to be after a token's end can't be on the device before it has another one. */
  #onDevice(device: string, body: EventBody, isPending: boolean): void {
    const id = keyOf(body);
    const meant = this.#meant.get(id);
    const store = this.#devices.get(device);
    this.demand(meant?.store === store, () => `${device} follows ${store} and shows ${id}, which is none of its events`);
    const token = this.#tokens.get(device);
    if (isPending || token === undefined || meant === undefined) return;
    this.demand(meant.at < token.until, () => `${device} shows ${id} of ${meant.at}, and its token was good until ${token.until}`);
  }
}

function isGood({ stores, until }: HeldToken, store: string, sentAt: number): boolean {
  return stores.includes(store) && sentAt < until;
}
