/**
 * A device's IndexedDB. Transactions are atomic, run one after the other, and are written to a log that only grows. A strict transaction
 * flushes everything before it. A crash of the device loses a suffix of the relaxed transactions after the last strict one.
 *
 *     strict │ relaxed │ strict │ relaxed │ relaxed │ relaxed
 *     ───────────────────────── safe ─┤    a crash may cut here or anywhere further right
 *
 * Data that the device derives from its events (snapshots, the checkpoint of a subscription) is written separately, between two
 * transactions of the log. Each such write may be lost alone, or together with what was written before it.
 *
 * Each change records how to undo it, so that an aborted transaction or a crash needs no copy of everything.
 */

import { type Lease, NO_LEASE } from "../../shared/device/leadership.ts";
import { lastVersionOf, type ParkedEntry, type PendingEntry } from "../../shared/device/outbox.ts";
import { NEW_REPLICA, type Replica } from "../../shared/device/replica.ts";
import type { DeviceSubscription } from "../../shared/device/subscription.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { NO_STREAM, toVersion, type Version } from "../../shared/order.ts";
import type { Snapshot } from "./models/snapshots.ts";
import type { Random } from "./random.ts";

export type Durability = "strict" | "relaxed";

interface Fields {
  replica: Replica;
  lease: Lease;
  /** In the order of `seq`. */
  outbox: readonly PendingEntry[];
  parked: readonly ParkedEntry[];
  nextSeq: number;
  /** How far the app's own consumer has handled the feed. */
  checkpoint: { readonly position: number };
  /** States that were folded once, by decider and stream. */
  snapshots: ReadonlyMap<string, Snapshot>;
  /** Undefined before the subscription has begun. */
  subscription: { readonly kept: DeviceSubscription | undefined };
  /** Confirmed events in the order of positions; what is filled in later goes between. */
  log: ConfirmedEvent[];
  /** The same by stream, in the order of versions. */
  streams: Map<string, ConfirmedEvent[]>;
}

type Undo = () => void;

/** What is stored, as a transaction sees and changes it. */
export class Content {
  readonly #fields: Fields = {
    replica: { ...NEW_REPLICA, authority: "edge" },
    lease: NO_LEASE,
    outbox: [],
    parked: [],
    nextSeq: 1,
    checkpoint: { position: 0 },
    snapshots: new Map(),
    subscription: { kept: undefined },
    log: [],
    streams: new Map(),
  };
  undos: Undo[] = [];

  get<K extends keyof Fields>(name: K): Readonly<Fields>[K] {
    return this.#fields[name];
  }

  set<K extends keyof Fields>(name: K, value: Fields[K]): void {
    const before = this.#fields[name];
    this.#fields[name] = value;
    this.undos.push(() => {
      this.#fields[name] = before;
    });
  }

  /** What is there already stays as it is. */
  addConfirmed(event: ConfirmedEvent): void {
    const { log, streams } = this.#fields;
    if (!this.#insert(log, event, (a, b) => a.position - b.position)) return;
    let stream = streams.get(event.streamId);
    if (stream === undefined) {
      stream = [];
      streams.set(event.streamId, stream);
    }
    this.#insert(stream, event, (a, b) => a.version - b.version);
  }

  #insert(events: ConfirmedEvent[], event: ConfirmedEvent, order: (a: ConfirmedEvent, b: ConfirmedEvent) => number): boolean {
    let place = events.length;
    for (; place > 0; place--) {
      const before = events[place - 1];
      if (before === undefined || order(before, event) < 0) break;
      if (order(before, event) === 0) return false;
    }
    events.splice(place, 0, event);
    this.undos.push(() => {
      events.splice(events.indexOf(event), 1);
    });
    return true;
  }

  confirmed(streamId: string): readonly ConfirmedEvent[] {
    return this.#fields.streams.get(streamId) ?? [];
  }

  confirmedVersion(streamId: string): Version {
    return this.confirmed(streamId).at(-1)?.version ?? NO_STREAM;
  }

  /** The stream's pending entries, in the order of `seq`. */
  pending(streamId: string): readonly PendingEntry[] {
    return this.#fields.outbox.filter((entry) => entry.streamId === streamId);
  }

  /** As an append sees it. */
  version(streamId: string): Version {
    const versions = this.pending(streamId).map(lastVersionOf);
    return toVersion(Math.max(this.confirmedVersion(streamId), ...versions));
  }
}

export class Storage {
  readonly content = new Content();
  /** The transactions behind the last strict one, the oldest first. */
  #unflushed: { readonly undos: readonly Undo[]; readonly isBeside: boolean }[] = [];

  /** Where `work` throws, nothing of it is kept. */
  transact<T>(durability: Durability, work: (content: Content) => T): T {
    this.content.undos = [];
    try {
      const result = work(this.content);
      if (durability === "strict") this.#unflushed = [];
      else if (this.content.undos.length > 0) this.#unflushed.push({ undos: this.content.undos, isBeside: false });
      return result;
    } catch (error) {
      undo(this.content.undos);
      throw error;
    }
  }

  /** Relaxed, and of no weight to the others: a crash cuts among these by a chance of its own. */
  beside(work: (content: Content) => void): void {
    this.content.undos = [];
    work(this.content);
    if (this.content.undos.length > 0) this.#unflushed.push({ undos: this.content.undos, isBeside: true });
  }

  /** Answers how many transactions were lost. */
  crash(random: Random, beside: Random): number {
    const isOwn = ({ isBeside }: { readonly isBeside: boolean }) => !isBeside;
    const own = this.#unflushed.filter(isOwn).length;
    const kept = random.between(0, own);
    // The first that is lost of its own, and those written beside in front of it.
    const places = this.#unflushed.flatMap(({ isBeside }, i) => (isBeside ? [] : [i]));
    const [from, to] = [kept === 0 ? 0 : (places[kept - 1] ?? 0) + 1, places[kept] ?? this.#unflushed.length];
    const lost = this.#unflushed.slice(beside.between(from, to));
    for (const { undos } of lost.reverse()) undo(undos);
    // What the crash has left is on the disk.
    this.#unflushed = [];
    return own - kept;
  }
}

function undo(undos: readonly Undo[]): void {
  for (const change of undos.toReversed()) change();
}
