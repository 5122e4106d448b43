/**
 * Invariant 7 for a store's subscription at the edge, with its parts in `shared/subscription.ts`. Every event of its filter after the
 * position at which it began or was reset is handled at least once, in order. The checkpoint passes no event that was neither handled nor
 * is a dead letter (7). No event becomes a dead letter unless the handler failed on it alone (7a). Nothing is handed over before a wait is
 * over (7b), unless an operator resumes the subscription. An event that is no longer a dead letter was handled.
 *
 * An alarm that was killed before its handler had any event counts as a failure on the next events, because the platform reports no more
 * than that. The same holds for a failure that was not retried before an operator restored an older copy of the log: another event is at
 * that position then.
 */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { OF_SUBSCRIPTION } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import type { Observation } from "./observation.ts";

type Status = Observation & { readonly kind: "edge-subscription" };
type Handed = Observation & { readonly kind: "edge-handed" };

interface Followed {
  /** Where it began, or somebody has put it. */
  base: number;
  position: number;
  retryAt: number | null;
  /** What is in the handler. */
  inHand: Handed | undefined;
  readonly handled: Set<string>;
  /** Refused by themselves. */
  readonly refused: Set<string>;
  /** Whether its alarm was ended with nothing in hand, or other events stand behind the checkpoint, since that has moved. */
  wasEnded: boolean;
  /** Undefined where it was put elsewhere since: some of it may be gone. */
  listed: ReadonlySet<string> | undefined;
  /** The log when it was read last. */
  events: readonly ConfirmedEvent[];
}

export class EdgeSubscriptionChecker extends Checker {
  readonly name = "7 edge subscription";
  readonly #followed = new Map<string, Followed>();

  see(observation: Observation, now: number): void {
    switch (observation.kind) {
      case "edge-handed":
        return this.#onHanded(observation, now);
      case "edge-answered":
        return this.#onAnswered(this.#of(observation.store), observation.isHandled);
      case "edge-alarm":
        return this.#onAlarm(this.#of(observation.store), observation.isRetry);
      case "edge-asked": {
        const followed = this.#of(observation.store);
        followed.retryAt = null;
        if (observation.what === "resume") return;
        followed.base = observation.position;
        followed.position = observation.position;
        followed.handled.clear();
        followed.refused.clear();
        followed.wasEnded = false;
        followed.listed = undefined;
        followed.events = [];
        return;
      }
      case "edge-subscription":
        return this.#onStatus(observation);
      case "replaced":
        this.#of(observation.store).wasEnded = true;
        return;
      default:
    }
  }

  #onHanded(observation: Handed, now: number): void {
    const { store, handed, isReplay, events } = observation;
    const followed = this.#of(store);
    followed.inHand = observation;
    if (isReplay) return;
    const [first] = handed;
    const { position, retryAt, base } = followed;
    this.demand(
      retryAt === null || now >= retryAt,
      () => `${store}: ${first?.id} is handed over at ${now}, and was to wait until ${retryAt}`,
    );
    const due = between(events, position, handed.at(-1)?.position ?? 0);
    const [expected, given] = [due, handed].map((some) => some.map(({ id }) => id).join(" "));
    this.demand(expected === given, () => `${store}: behind #${position} come ${expected}, and ${given} were handed over (from #${base})`);
  }

  #onAnswered(followed: Followed, isHandled: boolean): void {
    const { inHand } = followed;
    followed.inHand = undefined;
    if (isHandled) for (const { id } of inHand?.handed ?? []) followed.handled.add(id);
    else this.#blame(followed, inHand);
  }

  #onAlarm(followed: Followed, isRetry: boolean): void {
    if (isRetry && followed.inHand === undefined) followed.wasEnded = true;
    else if (isRetry) this.#blame(followed, followed.inHand);
    followed.inHand = undefined;
  }

  #blame(followed: Followed, inHand: Handed | undefined): void {
    const [event, ...others] = inHand?.handed ?? [];
    if (event !== undefined && others.length === 0 && inHand?.isReplay === false) followed.refused.add(event.id);
  }

  #onStatus({ store, position, retryAt, deadLetters, onFailure, events }: Status): void {
    const followed = this.#of(store);
    this.#seeList(store, followed, deadLetters, onFailure);
    followed.retryAt = retryAt;
    if (events !== undefined) {
      for (const event of between(events, followed.position, position)) this.#isDealtWith(store, followed, event, position);
      followed.events = events;
    }
    if (position !== followed.position) followed.wasEnded = false;
    followed.position = position;
  }

  #seeList(store: string, followed: Followed, deadLetters: readonly string[], onFailure: Status["onFailure"]): void {
    const now = new Set(deadLetters);
    const { listed = now, refused, handled, wasEnded } = followed;
    this.demand(onFailure === "dead-letter" || now.size === 0, () => `${store}: ${deadLetters.join(" ")} set aside, where it was to stop`);
    for (const id of now) {
      if (listed.has(id)) continue;
      this.demand(refused.has(id) || wasEnded, () => `${store}: ${id} was set aside, and was never refused by itself`);
      // It is to be handled anew before it leaves the list.
      handled.delete(id);
    }
    for (const id of listed) {
      if (!now.has(id)) this.demand(handled.has(id), () => `${store}: ${id} has left the list of what was set aside, and was not handled`);
    }
    followed.listed = now;
  }

  #isDealtWith(store: string, { handled, listed, base }: Followed, { id, position }: ConfirmedEvent, at: number): void {
    this.demand(
      handled.has(id) || listed?.has(id) === true,
      () => `${store}: ${id} at #${position} was neither handled nor set aside, and the subscription is at #${at} (from #${base})`,
    );
  }

  override finish(): void {
    for (const [store, followed] of this.#followed) {
      const { base, position, events } = followed;
      for (const event of between(events, base, position)) this.#isDealtWith(store, followed, event, position);
    }
  }

  #of(store: string): Followed {
    let followed = this.#followed.get(store);
    if (followed === undefined) {
      followed = {
        base: 0,
        position: 0,
        retryAt: null,
        inHand: undefined,
        handled: new Set(),
        refused: new Set(),
        wasEnded: false,
        listed: new Set(),
        events: [],
      };
      this.#followed.set(store, followed);
    }
    return followed;
  }
}

/** Those of the filter, behind one position and up to another. */
function between(events: readonly ConfirmedEvent[], after: number, upTo: number): readonly ConfirmedEvent[] {
  const found: ConfirmedEvent[] = [];
  for (let at = events.length - 1; at >= 0; at--) {
    const event = events[at];
    if (event === undefined || event.position <= after) break;
    if (event.position <= upTo && OF_SUBSCRIPTION.stream(event.streamId)) found.push(event);
  }
  return found.reverse();
}
