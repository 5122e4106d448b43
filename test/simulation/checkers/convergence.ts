/**
 * Invariant 5: when the network heals, all devices hold the same confirmed streams, equal to the edge's. Checks the promise of `sync()`
 * too: when it resolves, commits that the device had before the call are no longer pending, and the device holds what others have read at the
 * edge before the call.
 */

import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { ConfirmedEvent, RecordedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import { Commits, type Tracked } from "./commits.ts";
import { Lives } from "./lives.ts";
import type { Observation } from "./observation.ts";

interface Held {
  readonly store: string;
  readonly scope: Scope;
  readonly openedAt: number;
  /** As they were read last. */
  events: readonly ConfirmedEvent[];
  readAt: number;
}

export class ConvergenceChecker extends Checker {
  readonly name = "5 convergence";
  readonly #lives = new Lives();
  readonly #commits = new Commits();
  readonly #devices = new Map<string, Held>();
  /** Which position of each store's log was known to have an event, and since when. */
  readonly #seen = new Map<string, { readonly at: number; readonly position: number }[]>();
  /** Stores whose log was ever replaced: devices show the former history for a while. */
  readonly #replaced = new Set<string>();
  /** As each was read last. */
  readonly #streams = new Map<string, Map<string, { readonly sentAt: number; readonly events: readonly RecordedEvent[] }>>();
  readonly #pending = new Map<Tracked, number>();
  readonly #resets = new Map<string, number>();

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    this.#commits.see(observation, now);
    switch (observation.kind) {
      case "opened": {
        const { events = [], readAt = 0 } = this.#devices.get(observation.device) ?? {};
        this.#devices.set(observation.device, { ...observation, openedAt: now, events, readAt });
        return;
      }
      case "all": {
        const device = this.#devices.get(observation.device);
        if (device === undefined) return;
        Object.assign(device, { events: observation.events, readAt: now });
        if (!this.#replaced.has(device.store)) this.#sees(device.store, device.events.at(-1)?.position ?? 0, now);
        return;
      }
      case "replaced":
        this.#streams.delete(observation.store);
        this.#seen.delete(observation.store);
        this.#replaced.add(observation.store);
        return;
      case "page":
        return this.#sees(observation.store, this.#lives.now(observation.store).events.length, now);
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
        this.#expectSettled(observation.device, observation.since);
        return this.#expectRead(observation);
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
        () => `${device}: sync() has resolved, but the commit of ${tracked.keys.join(" ")} to ${tracked.streamId} is pending`,
      );
    }
  }

  #sees(store: string, position: number, at: number): void {
    const seen = this.#seen.get(store) ?? [];
    this.#seen.set(store, seen);
    if (position > (seen.at(-1)?.position ?? 0)) seen.push({ position, at });
  }

  #expectRead({ device: name, since, doneAt }: Observation & { kind: "synced" }): void {
    const device = this.#devices.get(name);
    // Another tab may follow more, or may have reset the device, or what was read is older.
    if (device === undefined || device.openedAt >= since || (this.#resets.get(name) ?? 0) >= since || device.readAt < doneAt) return;
    const { store, scope, events } = device;
    const known = this.#seen.get(store)?.findLast(({ at }) => at < since)?.position ?? 0;
    const due = this.#lives.now(store).events.findLast(({ streamId, position }) => position <= known && isWithin(scope, streamId));
    const last = scope === null ? known : (due?.position ?? 0);
    this.demand(
      (events.at(-1)?.position ?? 0) >= last,
      () => `${name}: sync() has resolved, but #${last} is not here, which was seen elsewhere before the call`,
    );
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
