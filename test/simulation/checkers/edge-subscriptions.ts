/**
 * Invariant 7 for a store's subscription at the edge, with its parts in `shared/subscription.ts`. Every event of its filter after the
 * position at which it began or was reset is handled at least once, in order. The checkpoint passes no event that was neither handled nor
 * is a dead letter (7). No event becomes a dead letter unless the handler failed on it alone (7a). Nothing is handed over before a wait is
 * over (7b), unless an operator resumes the subscription. An event that is no longer a dead letter was handled.
 *
 * A failure that was not retried before an operator restored an older copy of the log counts for the event that is next in that copy: it
 * may be another one.
 */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { OF_SUBSCRIPTION } from "../models/ledger.ts";
import { Checker } from "./checker.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";

type Status = Observation & { readonly kind: "edge-subscription" };
type Handed = Observation & { readonly kind: "edge-handed" };

interface Followed {
  /** Where it began, or an operator has put it. */
  base: number;
  position: number;
  retryAt: number | null;
  /** What is in the handler. */
  inHand: Handed | undefined;
  /** Handed over since the log was last compared. */
  batches: Handed[];
  readonly handled: Set<string>;
  /** The handler has failed on them alone. */
  readonly failed: Set<string>;
  /** It has read nothing since the log was replaced. */
  isOfBefore: boolean;
  /** An operator has asked for something, and nobody knows yet whether it was done. */
  isUnsure: boolean;
  /** The log was replaced since the checkpoint has moved: other events may be behind it. */
  isBeforeOthers: boolean;
  /** Undefined if it was put elsewhere since: some of it may be gone. */
  listed: ReadonlySet<string> | undefined;
}

export class EdgeSubscriptionChecker extends Checker {
  readonly name = "7 edge subscription";
  readonly #followed = new Map<string, Followed>();
  readonly #lives = new Lives();

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    switch (observation.kind) {
      case "edge-handed":
        return this.#onHanded(observation, now);
      case "edge-answered":
        return this.#onAnswered(this.#of(observation.store), observation.call, observation.isHandled);
      case "edge-killed":
        return this.#onKilled(this.#of(observation.store));
      case "edge-asked":
        return this.#onAsked(this.#of(observation.store), observation);
      case "edge-idle":
        return this.demand(false, () => `${observation.store}: the subscription is idle at #${observation.position}, and there is more`);
      case "edge-subscription":
        return this.#onStatus(observation);
      case "replaced": {
        const followed = this.#of(observation.store);
        followed.isBeforeOthers = true;
        followed.batches = [];
        followed.isOfBefore = true;
        return;
      }
      default:
    }
  }

  #onAsked(followed: Followed, { what, position, isDone }: Observation & { readonly kind: "edge-asked" }): void {
    followed.retryAt = null;
    followed.isUnsure = !isDone;
    if (what === "resume") return;
    followed.batches = [];
    followed.isBeforeOthers = false;
    followed.listed = undefined;
    if (isDone) {
      followed.isOfBefore = false;
      followed.base = position;
      followed.position = position;
    } else {
      // What is handled from now on may be handled for the second time.
      followed.handled.clear();
      followed.failed.clear();
    }
  }

  #onHanded(observation: Handed, now: number): void {
    const { store, handed, isReplay } = observation;
    const followed = this.#of(store);
    followed.inHand = observation;
    if (isReplay) return;
    followed.isOfBefore = false;
    const { retryAt } = followed;
    this.demand(
      retryAt === null || now >= retryAt,
      () => `${store}: ${handed[0]?.id} is handed over at ${now}, and was to wait until ${retryAt}`,
    );
    if (!followed.isUnsure) followed.batches.push(observation);
  }

  #onAnswered(followed: Followed, call: number, isHandled: boolean): void {
    const { inHand } = followed;
    if (inHand?.call !== call) return;
    followed.inHand = undefined;
    if (isHandled) for (const { id } of inHand?.handed ?? []) followed.handled.add(id);
    else this.#blame(followed, inHand);
  }

  #onKilled(followed: Followed): void {
    this.#blame(followed, followed.inHand);
    followed.inHand = undefined;
  }

  #blame(followed: Followed, inHand: Handed | undefined): void {
    const [event, ...others] = inHand?.handed ?? [];
    if (event !== undefined && others.length === 0 && inHand?.isReplay === false) followed.failed.add(event.id);
  }

  /** Each batch has all events of the filter between its first and its last. */
  #areWhole(store: string, followed: Followed, log: readonly ConfirmedEvent[]): void {
    followed.batches = followed.batches.filter(({ handed }) => {
      const [first, last] = [handed[0], handed.at(-1)];
      if (first === undefined || last === undefined || last.position > (log.at(-1)?.position ?? 0)) return true;
      const due = between(log, first.position - 1, last.position);
      const [expected, given] = [due, handed].map((some) => some.map(({ id }) => id).join(" "));
      this.demand(expected === given, () => `${store}: behind #${first.position - 1} come ${expected}, and ${given} were handed over`);
      return false;
    });
  }

  #onStatus({ store, position, retryAt, deadLetters, onFailure, isStopped, sentAt }: Status): void {
    const followed = this.#of(store);
    if (followed.isUnsure) return;
    this.#seeList(store, followed, deadLetters, onFailure);
    followed.retryAt = retryAt;
    // One that has stopped, or has not read the log since it was replaced, may be at a position of another log.
    if (!isStopped && !followed.isOfBefore && this.#lives.isOfNow(store, sentAt)) {
      const { events } = this.#lives.now(store);
      this.#areWhole(store, followed, events);
      for (const event of between(events, followed.position, position)) this.#isDealtWith(store, followed, event, position);
    }
    if (position !== followed.position) followed.isBeforeOthers = false;
    followed.position = position;
  }

  #seeList(store: string, followed: Followed, deadLetters: readonly string[], onFailure: Status["onFailure"]): void {
    const now = new Set(deadLetters);
    const { listed = now, failed, handled, isBeforeOthers } = followed;
    this.demand(
      onFailure === "dead-letter" || now.size === 0,
      () => `${store}: ${deadLetters.join(" ")} are dead letters, and it was to stop`,
    );
    for (const id of now) {
      if (listed.has(id)) continue;
      this.demand(failed.has(id) || isBeforeOthers, () => `${store}: ${id} is a dead letter, and the handler never failed on it alone`);
      // It is to be handled again before it leaves the dead letters.
      handled.delete(id);
    }
    for (const id of listed) {
      if (!now.has(id)) this.demand(handled.has(id), () => `${store}: ${id} has left the dead letters, and was not handled`);
    }
    followed.listed = now;
  }

  #isDealtWith(store: string, { handled, listed, base }: Followed, { id, position }: ConfirmedEvent, at: number): void {
    this.demand(
      handled.has(id) || listed?.has(id) === true,
      () => `${store}: ${id} at #${position} was neither handled nor is a dead letter, and the subscription is at #${at} (from #${base})`,
    );
  }

  override finish(): void {
    for (const [store, followed] of this.#followed) {
      const { base, position } = followed;
      const { events } = this.#lives.now(store);
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
        batches: [],
        handled: new Set(),
        failed: new Set(),
        isUnsure: false,
        isOfBefore: false,
        isBeforeOthers: false,
        listed: new Set(),
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
