/**
 * Remembers the versions that a tab's last writes left, and detects when they may be out of date. Another tab may have appended, and sync
 * may have moved commits. A commit is decided on the remembered version, and written at once. If it turns out that the memory was wrong, the
 * transaction is aborted, and the versions are read.
 *
 * - Pending commits: whatever changes a version uses up a key of the outbox, and the database assigns the keys without gaps. If the commit's
 *   key is the next one after this tab's last key, the memory was right.
 * - A store that orders its events itself: whatever changes a version changes the replica. It is read in the transaction that writes, without
 *   waiting for it in between. If it is the one that this tab has left, the memory was right.
 */
import type { Replica } from "../../shared/device/replica.ts";
import { sameJson } from "../../shared/json.ts";
import { NO_STREAM, type Version } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

/** The most streams that are remembered. */
const MOST = 10_000;

/** The version of each stream after a write. */
type Versions = Iterable<readonly [StreamId, { readonly version: Version }]>;

export class VersionMemory {
  readonly #versions = new Map<StreamId, Version>();
  #lastKey: number | undefined;
  #replica: Replica | undefined;
  /** True if every stream of the database is remembered, because the database was empty when this tab started. */
  #isComplete = false;
  #connection: object | undefined;

  /** Forgets what was remembered on another connection: the database may have been deleted since, or hold what seemed to fail. */
  startOn(connection: object): void {
    if (connection !== this.#connection) this.forget();
    this.#connection = connection;
  }

  /** The replica of a store that orders its events itself, as this tab has left it; undefined if it has not. */
  get replica(): Replica | undefined {
    return this.#replica;
  }

  /** The remembered version; undefined if the stream is not remembered. */
  versionOf(streamId: StreamId): Version | undefined {
    return this.#versions.get(streamId) ?? (this.#isComplete ? NO_STREAM : undefined);
  }

  /**
   * True if the remembered versions were still right when this write was done.
   *
   * @param firstKey the key that the database assigned to the first group written. If no group was written it is undefined, which proves
   *   nothing: the result is false
   */
  holds(firstKey: number | undefined): boolean {
    return this.#lastKey !== undefined && firstKey === this.#lastKey + 1;
  }

  /** True if a store that orders its events itself is still as this tab has left it. */
  holdsReplica(now: Replica): boolean {
    return this.#replica !== undefined && sameJson(this.#replica, now);
  }

  /**
   * Remembers the versions after a write.
   *
   * @param keys the keys of the groups written: at least one
   * @param wasEmpty true if the database held no event before
   */
  learn(versions: Versions, keys: readonly number[], wasEmpty: boolean): void {
    if (!this.holds(keys[0])) this.forget();
    this.#lastKey = keys.at(-1);
    this.#add(versions, wasEmpty);
  }

  /** As `learn`, of a store that orders its events itself. @param before the replica before the write @param after the one that it left */
  learnOrdered(versions: Versions, before: Replica, after: Replica, wasEmpty: boolean): void {
    if (!this.holdsReplica(before)) this.forget();
    this.#replica = after;
    this.#add(versions, wasEmpty);
  }

  #add(versions: Versions, wasEmpty: boolean): void {
    this.#isComplete ||= wasEmpty;
    for (const [streamId, { version }] of versions) this.#versions.set(streamId, version);
    if (this.#versions.size > MOST) this.forget();
  }

  forget(): void {
    this.#versions.clear();
    this.#isComplete = false;
    this.#replica = undefined;
  }
}
