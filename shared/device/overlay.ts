/**
 * The rows that events change which are not in a projection's stored rows, kept in memory. Each event is folded once, and again only if
 * something before it in its row has changed.
 *
 *     stored row ──► confirmed events after the checkpoint ──► base ──► pending events, group by group ──► row
 *                                                                         │ a group is new: its events are folded over the row
 *                                                                         └ a group has changed, or the base has: the row is folded from its base
 *
 * It has the rows of all confirmed events after the checkpoint and of all pending ones, and no others: a row leaves it when the stored row is
 * the same. If `key` or `evolve` throws, the overlay is of no use any more: whoever has it discards it, and makes another.
 */
import type { RecordedEvent } from "../event/event.ts";
import { type AnyProjection, evolved, keysOf, keysOfAll } from "./projection.ts";

/** What has changed since the overlay was changed last. */
export interface OverlayChange {
  /** Confirmed events after those that the overlay has, in the order of their positions. */
  readonly confirmed: readonly RecordedEvent[];
  /**
   * Pending events of each group of the outbox that has changed, or none if it is gone; then of those that are new, in their order. By the key
   * of the group, which is greater for each new one.
   */
  readonly groups: Iterable<readonly [group: number, events: readonly RecordedEvent[]]>;
  /** The stored rows of the keys that the overlay does not have, at `storedAt`. */
  readonly stored: ReadonlyMap<string, unknown>;
  /** The checkpoint of `stored`. */
  readonly storedAt: number;
}

interface Layers {
  /** The row after the confirmed events. */
  base: unknown;
  /** The position up to which events are folded into `base`. No event of the row is between it and what the overlay has. */
  position: number;
  /** By the key of their group. */
  readonly pending: Map<number, RecordedEvent[]>;
}

export class Overlay {
  readonly #projection: AnyProjection;
  readonly #freezes: boolean;
  readonly #layers = new Map<string, Layers>();
  /** In place of the stored rows of these keys; undefined: there is no row of the key. */
  readonly rows = new Map<string, unknown>();
  /** The greatest key of a group, also of one without events. */
  #lastGroup = -1;
  /** The keys of the rows that a group's pending events change. */
  readonly #groups = new Map<number, ReadonlySet<string>>();
  /** The last checkpoint of the stored rows that was seen. */
  checkpoint = 0;

  /** @param freezes whether `evolve` gets frozen rows */
  constructor(projection: AnyProjection, freezes: boolean) {
    this.#projection = projection;
    this.#freezes = freezes;
  }

  /** The keys of rows that the events change and that the overlay does not have. */
  lacking(events: readonly RecordedEvent[]): Set<string> {
    return new Set([...keysOfAll(this.#projection, events)].filter((key) => !this.#layers.has(key)));
  }

  /** @throws what `evolve` throws; ChangedInPlaceError if it changes a frozen row */
  change({ confirmed, groups, stored, storedAt }: OverlayChange): void {
    const toFold = new Set<string>();
    const layersOf = (key: string): Layers => {
      let layers = this.#layers.get(key);
      if (layers === undefined) {
        layers = { base: stored.get(key), position: storedAt, pending: new Map() };
        this.#layers.set(key, layers);
        this.rows.set(key, layers.base);
      }
      return layers;
    };
    for (const event of confirmed) {
      const position = event.position ?? 0;
      for (const key of keysOf(this.#projection, event)) {
        const layers = layersOf(key);
        if (position <= layers.position) continue;
        layers.base = this.#evolved(layers.base, event);
        layers.position = position;
        toFold.add(key);
      }
    }
    for (const [group, events] of groups) {
      // Only the events of a new group are behind all others.
      const isNew = group > this.#lastGroup;
      if (isNew) this.#lastGroup = group;
      for (const key of this.#groups.get(group) ?? []) {
        layersOf(key).pending.delete(group);
        toFold.add(key);
      }
      for (const event of events) {
        for (const key of keysOf(this.#projection, event)) {
          const { pending } = layersOf(key);
          pending.set(group, [...(pending.get(group) ?? []), event]);
          if (!isNew) toFold.add(key);
          else if (!toFold.has(key)) this.rows.set(key, this.#evolved(this.rows.get(key), event));
        }
      }
      this.#groups.set(group, keysOfAll(this.#projection, events));
      if (events.length === 0) this.#groups.delete(group);
    }
    for (const key of toFold) {
      const { base, pending } = layersOf(key);
      const events = [...pending].sort(([a], [b]) => a - b).flatMap(([, some]) => some);
      const row = events.reduce((before, event) => this.#evolved(before, event), base);
      this.rows.set(key, row);
    }
    this.#release(toFold);
  }

  /** The stored rows are folded up to here. */
  moveCheckpoint(position: number): void {
    if (position === this.checkpoint) return;
    this.checkpoint = position;
    this.#release(this.#layers.keys());
  }

  /** Removes those of the rows that are as they are stored. */
  #release(keys: Iterable<string>): void {
    for (const key of keys) {
      const layers = this.#layers.get(key);
      if (layers === undefined || layers.pending.size > 0 || layers.position > this.checkpoint) continue;
      this.#layers.delete(key);
      this.rows.delete(key);
    }
  }

  #evolved(row: unknown, event: RecordedEvent): unknown {
    return evolved(this.#projection, row, event, this.#freezes);
  }
}
