/**
 * The histories that a store had, one after the other. A new one begins whenever its operator replaces the log. What is known of each
 * history comes from readers of the feed, and from the operator, who reads the whole log before it ends.
 */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import type { Observation } from "./observation.ts";

export interface Life {
  readonly beganAt: number;
  /** From the first position on, as far as they are known. */
  readonly events: ConfirmedEvent[];
}

export class Lives {
  readonly #stores = new Map<string, Life[]>();

  /** The oldest first; there is always one. */
  of(store: string): readonly [Life, ...Life[]] {
    const [first = this.#begin(store, 0, []), ...others] = this.#stores.get(store) ?? [];
    return [first, ...others];
  }

  now(store: string): Life {
    const lives = this.of(store);
    return lives.at(-1) ?? lives[0];
  }

  /** Whether what was asked for then was about the history that the store has now. */
  isOfNow(store: string, sentAt: number): boolean {
    return sentAt >= this.now(store).beganAt;
  }

  see(observation: Observation, now: number): void {
    if (observation.kind === "replaced") {
      const { store, before, copiedAt, head } = observation;
      const ended = this.now(store);
      ended.events.splice(0, ended.events.length, ...before);
      this.#begin(store, now, copiedAt === null ? [] : before.filter(({ position }) => position <= head));
    } else if (observation.kind === "page" && this.isOfNow(observation.store, observation.sentAt)) {
      const life = this.now(observation.store);
      if (observation.after > life.events.length) return;
      life.events.push(...observation.page.events.slice(life.events.length - observation.after));
    }
  }

  #begin(store: string, beganAt: number, events: readonly ConfirmedEvent[]): Life {
    const life: Life = { beganAt, events: [...events] };
    const lives = this.#stores.get(store);
    if (lives === undefined) this.#stores.set(store, [life]);
    else lives.push(life);
    return life;
  }
}
