/**
 * Invariant 5: when the network heals, all devices hold the same confirmed streams, equal to the edge's. Checks the promise of `sync()`
 * too: when it resolves, commits that the device had before the call are no longer pending.
 */

import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { ConfirmedEvent, RecordedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import { Commits, type Tracked } from "./commits.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";

export class ConvergenceChecker extends Checker {
  readonly name = "5 convergence";
  readonly #lives = new Lives();
  readonly #commits = new Commits();
  readonly #devices = new Map<string, { readonly store: string; readonly scope: Scope; events: readonly ConfirmedEvent[] }>();
  /** As each was read last. */
  readonly #streams = new Map<string, Map<string, { readonly sentAt: number; readonly events: readonly RecordedEvent[] }>>();
  readonly #pending = new Map<Tracked, number>();
  readonly #resets = new Map<string, number>();

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    this.#commits.see(observation, now);
    switch (observation.kind) {
      case "opened":
        this.#devices.set(observation.device, { ...observation, events: [] });
        return;
      case "all": {
        const device = this.#devices.get(observation.device);
        if (device !== undefined) device.events = observation.events;
        return;
      }
      case "replaced":
        this.#streams.delete(observation.store);
        return;
      case "edge-stream": {
        if (!this.#lives.isOfNow(observation.store, observation.sentAt)) return;
        const streams = this.#streams.get(observation.store) ?? new Map<string, typeof observation>();
        this.#streams.set(observation.store, streams);
        if (observation.sentAt >= (streams.get(observation.streamId)?.sentAt ?? 0)) streams.set(observation.streamId, observation);
        return;
      }
      case "stream":
        return this.#lookAt(observation, now);
      case "reset":
        this.#resets.set(observation.device, now);
        return;
      case "synced":
        return this.#expectSettled(observation.device, observation.since);
      default:
    }
  }

  #lookAt(observation: Observation & { kind: "stream" }, now: number): void {
    for (const [tracked, { pending }] of this.#commits.look(observation)) {
      if (pending > 0) this.#pending.set(tracked, now);
      else this.#pending.delete(tracked);
    }
  }

  #expectSettled(device: string, since: number): void {
    if ((this.#resets.get(device) ?? 0) >= since) return;
    for (const tracked of this.#commits.all()) {
      if (tracked.device !== device || tracked.isMistaken || tracked.acceptedAt >= since || tracked.rebasedAt >= since) continue;
      this.demand(
        !this.#pending.has(tracked),
        () => `${device}: sync() has resolved, but the commit of ${tracked.forms.at(-1)?.join(" ")} to ${tracked.streamId} is pending`,
      );
    }
  }

  override finish(): void {
    for (const [name, { store, scope, events }] of this.#devices) {
      const expected = this.#lives.now(store).events.filter(({ streamId }) => isWithin(scope, streamId));
      this.#same(
        name,
        store,
        events.filter(({ streamId }) => isWithin(scope, streamId)),
        expected,
      );
    }
    for (const [store, streams] of this.#streams) {
      for (const [streamId, { events }] of streams) {
        const feed = this.#lives.now(store).events.filter((event) => event.streamId === streamId);
        this.#same(`${store}/${streamId}`, store, events, feed);
      }
    }
  }

  #same(where: string, store: string, events: readonly RecordedEvent[], expected: readonly RecordedEvent[]): void {
    this.demand(
      events.length === expected.length,
      () => `${where} holds ${events.length} events, and the log of ${store} ${expected.length}`,
    );
    for (const [i, { id, version, streamId }] of events.entries()) {
      const other = expected[i];
      this.demand(
        other?.id === id && other.version === version,
        () =>
          `${where} holds ${id} as ${streamId}@${version}, and the log of ${store} ${other?.id} as ${other?.streamId}@${other?.version}`,
      );
    }
  }
}
