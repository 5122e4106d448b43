/**
 * Invariant 4: the feed holds each stream's events in version order. An event whose receipt carried a position comes before every event
 * that was sent after that receipt. And a prefix of the log, once read, never changes.
 */
import type { EventBody } from "../../../shared/event/event.ts";
import { keyOf } from "../identity.ts";
import { Checker } from "./checker.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";

export class FeedOrderChecker extends Checker {
  readonly name = "4 feed order";
  readonly #lives = new Lives();
  readonly #stores = new Map<string, string>();
  /** The last position that a receipt has carried. */
  readonly #told = new Map<string, number>();
  /** The position behind which an event belongs, by its key. */
  readonly #floors = new Map<string, { readonly store: string; floor: number }>();

  see(observation: Observation, now: number): void {
    if (observation.kind === "page" && this.#lives.isOfNow(observation.store, observation.sentAt)) this.#compare(observation);
    this.#lives.see(observation, now);
    switch (observation.kind) {
      case "opened":
        this.#stores.set(observation.device, observation.store);
        return;
      case "called":
        return this.#send(this.#stores.get(observation.device) ?? "", observation.commit.events);
      case "sent":
        return this.#send(observation.store, observation.commit.events);
      case "receipt": {
        const { store, answer, sentAt } = observation;
        if (answer.position !== null && this.#lives.isOfNow(store, sentAt))
          this.#told.set(store, Math.max(answer.position, this.#told.get(store) ?? 0));
        return;
      }
      case "all":
        return this.#followStreams(observation.device, observation.events);
      case "replaced":
        return this.#lower(observation.store, observation.head);
      default:
    }
  }

  #send(store: string, events: readonly EventBody[]): void {
    const floor = this.#told.get(store) ?? 0;
    for (const key of events.map(keyOf)) if (!this.#floors.has(key)) this.#floors.set(key, { store, floor });
  }

  #lower(store: string, head: number): void {
    this.#told.set(store, Math.min(head, this.#told.get(store) ?? 0));
    for (const known of this.#floors.values()) if (known.store === store) known.floor = Math.min(known.floor, head);
  }

  #compare({ store, after, page }: Observation & { kind: "page" }): void {
    const { events: known } = this.#lives.now(store);
    for (const [i, event] of page.events.entries()) {
      const before = known[after + i];
      if (before !== undefined) {
        this.demand(before.id === event.id, () => `${store}#${event.position} was ${before.id} and is ${event.id}`);
        continue;
      }
      const floor = this.#floors.get(keyOf(event))?.floor ?? 0;
      this.demand(event.position > floor, () => `${event.id} at ${store}#${event.position} was sent after the receipt for #${floor}`);
    }
    if (after <= known.length) this.#followStreams(store, [...known.slice(0, after), ...page.events]);
  }

  #followStreams(
    where: string,
    events: readonly { readonly streamId: string; readonly version: number; readonly position: number }[],
  ): void {
    const versions = new Map<string, number>();
    for (const { streamId, version, position } of events) {
      const last = versions.get(streamId);
      this.demand(version === (last ?? 0) + 1, () => `${where}#${position} holds ${streamId}@${version} behind @${last}`);
      versions.set(streamId, version);
    }
  }
}
