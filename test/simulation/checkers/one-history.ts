/**
 * Invariant 10: a device never merges the history of another log. The events that it shows as confirmed belong to one history that its
 * store has or had, and never to two.
 */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import { type Life, Lives } from "./lives.ts";
import type { Observation, SeenEvent } from "./observation.ts";

export class OneHistoryChecker extends Checker {
  readonly name = "10 one history";
  readonly #lives = new Lives();
  readonly #devices = new Map<string, string>();
  /** What was shown of the history of now, and is yet to be read at the edge. */
  #open: { readonly device: string; readonly store: string; readonly life: Life; readonly events: readonly Placed[] }[] = [];

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    if (observation.kind === "opened") this.#devices.set(observation.device, observation.store);
    else if (observation.kind === "all") this.#find(observation.device, observation.events);
    else if (observation.kind === "stream") this.#isOfOne(observation.device, observation.events.filter(isConfirmed));
    else if (observation.kind === "replaced") this.#close(observation.store);
  }

  #isOfOne(device: string, events: readonly Placed[]): void {
    const store = this.#devices.get(device) ?? "";
    const lives = this.#lives.of(store);
    const told = () => `${device} shows what belongs to none of the ${lives.length} histories of ${store}: ${parted(events, lives)}`;
    this.demand(
      lives.some((life) => isPartOf(events, life)),
      told,
    );
  }

  #find(device: string, events: readonly ConfirmedEvent[]): void {
    const store = this.#devices.get(device) ?? "";
    const placed = events.map((body) => ({ body, position: body.position }));
    this.#isOfOne(device, placed);
    const lives = this.#lives.of(store);
    // What nobody has read at the edge yet is to be there when it is read.
    const isKnown = lives.some((life) => isPartOf(placed, life) && (events.at(-1)?.position ?? 0) <= life.events.length);
    if (!isKnown) this.#open.push({ device, store, life: this.#lives.now(store), events: placed });
  }

  #close(of: string): void {
    const closing = this.#open.filter(({ store }) => store === of);
    this.#open = this.#open.filter(({ store }) => store !== of);
    for (const { device, store, life, events } of closing) {
      this.demand(
        isPartOf(events, life) && (events.at(-1)?.position ?? 0) <= life.events.length,
        () => `${device} has shown what the history of ${store} never had: ${parted(events, [life])}`,
      );
    }
  }

  override finish(): void {
    for (const store of new Set(this.#devices.values())) this.#close(store);
  }
}

interface Placed {
  readonly body: { readonly id: string };
  readonly position: number;
}

function isConfirmed(event: SeenEvent): event is SeenEvent & Placed {
  return !event.isPending && event.position !== null;
}

/** As far as the history is known. */
function isPartOf(events: readonly Placed[], life: Life): boolean {
  return events.every(({ body, position }) => {
    const there = life.events[position - 1];
    return there === undefined || there.id === body.id;
  });
}

/** Where the events leave each of the histories. */
function parted(events: readonly Placed[], lives: readonly Life[]): string {
  return lives
    .map((life) => {
      const first = events.find(({ body, position }) => life.events[position - 1]?.id !== body.id);
      return `#${first?.position} is ${first?.body.id}, there ${life.events[(first?.position ?? 0) - 1]?.id}`;
    })
    .join("; ");
}
