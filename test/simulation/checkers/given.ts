/**
 * Commands that a handler at the edge gives. An event may be handled several times, and the handler may be killed between any two steps: its
 * command is decided once, and answered as before. That each event is handled in the end is what the checker of the subscription demands.
 *
 * Nothing is demanded of a store whose storage was damaged or put back: what was decided there may be gone.
 */
import { keyOf } from "../identity.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

type Outcome = (Observation & { readonly kind: "given" })["outcome"];

interface Given {
  /** By the key of the command. */
  readonly outcomes: Map<string, Outcome>;
  /** The keys in the shelf, as it was read last; undefined if it was not. */
  shelf: readonly string[] | undefined;
}

export class GivenChecker extends Checker {
  readonly name = "given commands";
  readonly #stores = new Map<string, Given>();
  readonly #excused = new Set<string>();

  see(observation: Observation): void {
    switch (observation.kind) {
      case "damaged":
      case "replaced":
        this.#excused.add(observation.store);
        return;
      case "given": {
        const { store, key, outcome } = observation;
        const { outcomes } = this.#of(store);
        const before = outcomes.get(key) ?? outcome;
        this.#demandOf(
          store,
          before === outcome,
          () => `${store}: the command "${key}" was ${before}, and is ${outcome} when it comes again`,
        );
        outcomes.set(key, outcome);
        return;
      }
      case "edge-stream": {
        const { store, events } = observation;
        const keys = events.filter(({ type }) => type === "Taken").map(keyOf);
        if (keys.length > 0) this.#of(store).shelf = keys;
        return;
      }
      default:
    }
  }

  override finish(): void {
    for (const [store, { outcomes, shelf }] of this.#stores) {
      if (shelf === undefined) continue;
      for (const [key, outcome] of outcomes) {
        const times = shelf.filter((other) => other === key).length;
        this.#demandOf(
          store,
          times === (outcome === "recorded" ? 1 : 0),
          () => `${store}: the command "${key}" was ${outcome}, and the shelf has it ${times} times`,
        );
      }
    }
  }

  #of(store: string): Given {
    const given = this.#stores.get(store) ?? { outcomes: new Map(), shelf: undefined };
    this.#stores.set(store, given);
    return given;
  }

  #demandOf(store: string, holds: boolean, message: () => string): void {
    this.demand(holds || this.#excused.has(store), message);
  }
}
