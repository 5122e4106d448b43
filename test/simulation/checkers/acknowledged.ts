/** Invariant 1: an acknowledged event is never lost, at the edge or on the device. */
import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { RecordedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import { Commits, foundIn, type Tracked } from "./commits.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";

interface Acknowledged {
  readonly id: string;
  readonly version: number;
  /** In the history of now; null where it was not told. */
  position: number | null;
  readonly at: number;
}

export class AcknowledgedChecker extends Checker {
  readonly name = "1 acknowledged";
  readonly #commits = new Commits();
  readonly #lives = new Lives();
  readonly #scopes = new Map<string, Scope>();
  readonly #resetAt = new Map<string, number>();
  /** Not found since their device was reset. */
  readonly #away = new Set<Tracked>();
  /** What the edge has confirmed to somebody, by store and stream. */
  readonly #atEdge = new Map<string, Map<string, Acknowledged[]>>();

  see(observation: Observation, now: number): void {
    this.#commits.see(observation, now);
    this.#lives.see(observation, now);
    switch (observation.kind) {
      case "receipt": {
        const { store, commit, answer, sentAt } = observation;
        if (!this.#lives.isOfNow(store, sentAt)) return;
        for (const [i, { id }] of commit.events.entries()) {
          const position = answer.position === null ? null : answer.position + i;
          this.#acknowledge(store, commit.streamId, { id, version: answer.firstVersion + i, position, at: now });
        }
        return;
      }
      case "page": {
        const { store, page, sentAt } = observation;
        if (!this.#lives.isOfNow(store, sentAt)) return;
        for (const { id, streamId, version, position } of page.events)
          this.#acknowledge(store, streamId, { id, version, position, at: now });
        return;
      }
      case "edge-stream":
        if (this.#lives.isOfNow(observation.store, observation.sentAt)) this.#compare(observation, observation.events);
        return;
      case "stream":
        return this.#lookFor(observation);
      case "opened":
        this.#scopes.set(observation.device, observation.scope);
        return;
      case "reset":
        this.#resetAt.set(observation.device, now);
        return;
      case "replaced":
        return this.#excuse(observation);
      default:
    }
  }

  #acknowledge(store: string, streamId: string, event: Acknowledged): void {
    const streams = this.#atEdge.get(store) ?? new Map<string, Acknowledged[]>();
    this.#atEdge.set(store, streams);
    const events = streams.get(streamId) ?? [];
    streams.set(streamId, events);
    const known = events[event.version];
    // What two answers say of one version must agree; the earlier one was acknowledged first.
    if (known === undefined) events[event.version] = event;
    else {
      known.position ??= event.position;
      this.demand(known.id === event.id, () => `${store}/${streamId}@${event.version} was ${known.id}, and is ${event.id}`);
    }
  }

  #compare({ store, streamId, sentAt }: Observation & { kind: "edge-stream" }, events: readonly RecordedEvent[]): void {
    for (const known of this.#atEdge.get(store)?.get(streamId) ?? []) {
      if (known === undefined || known.at > sentAt) continue;
      const id = events[known.version - 1]?.id;
      this.demand(id === known.id, () => `${store}/${streamId}@${known.version} was acknowledged as ${known.id}, and is ${id} at the edge`);
    }
  }

  /** What a device has taken is somewhere on it, until it is confirmed: from then on the edge has it. */
  #lookFor(observation: Observation & { kind: "stream" }): void {
    const { device, conflicts } = observation;
    for (const [tracked, places] of this.#commits.look(observation)) {
      if (conflicts === undefined || !tracked.isMade || tracked.mayBeGone || tracked.isConfirmed) continue;
      if (foundIn(places) > 0) this.#away.delete(tracked);
      // It may have been confirmed when the device was reset, and is fetched again.
      else if ((this.#resetAt.get(device) ?? Number.NEGATIVE_INFINITY) >= tracked.askedAt) this.#away.add(tracked);
      else this.#isLost(tracked);
    }
  }

  #isLost({ device, keys, streamId }: Tracked): void {
    this.demand(false, () => `${device}: the commit of ${keys.join(" ")} to ${streamId} is nowhere any more`);
  }

  override finish(): void {
    for (const tracked of this.#away) {
      const isFollowed = isWithin(this.#scopes.get(tracked.device) ?? null, tracked.streamId);
      if (isFollowed && !tracked.isConfirmed && !tracked.mayBeGone && !tracked.isMistaken) this.#isLost(tracked);
    }
  }

  /** What an operator's copy does not hold is lost, and by nobody's mistake but the operator's. */
  #excuse({ store, part, copiedAt, head }: Observation & { kind: "replaced" }): void {
    for (const events of this.#atEdge.get(store)?.values() ?? []) {
      for (const [version, event] of events.entries()) {
        if (event === undefined) continue;
        const isInCopy = event.position === null ? event.at <= (copiedAt ?? -1) : event.position <= head;
        if (part === "store" && !isInCopy) delete events[version];
        if (part === "log" && !isInCopy) event.position = null;
      }
    }
  }
}
