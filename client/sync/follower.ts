/**
 * Which streams the device follows, as this tab knows it, and how a stream outside of that is followed.
 *
 *     append to a stream ──► in the scope? ── yes ──► backfilled? ── yes ──► go ahead
 *                                │ no                     │ no
 *                                └──► widen the scope ────┴──► needs to know the stream? ── no ──► go ahead
 *                                                                        └── yes ──► sync, or fail
 */
import { isWithin, type Replica, type Scope } from "../../shared/device/replica.ts";
import { isCovered } from "../../shared/device/scope.ts";
import { HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import { type ExpectedVersion, exactVersion } from "../../shared/expected-version.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import { type Database, unlessStorage } from "../storage/database.ts";
import { followAlso } from "../storage/scope.ts";
import type { Syncer } from "./syncer.ts";

export class Follower {
  readonly #database: Database;
  readonly #syncer: () => Syncer;
  readonly #filter: Scope;
  #followed: Pick<Replica, "scope" | "backfills">;

  /** @param filter of this tab @param replica as it was read when the store was opened */
  constructor(database: Database, syncer: () => Syncer, filter: Scope, replica: Replica) {
    this.#database = database;
    this.#syncer = syncer;
    this.#filter = filter;
    this.#followed = replica;
  }

  /** Whether the device follows what this tab's filter asks for. */
  get isFilterCovered(): boolean {
    return isCovered(this.#followed.scope, this.#filter);
  }

  /** The replica has changed, by any tab. */
  update(replica: Replica): void {
    this.#followed = replica;
    void this.followFilter().catch(unlessStorage);
  }

  /** A tab that does not know of this one may have narrowed the scope, or has begun the database anew: what this tab follows is added. */
  async followFilter(): Promise<void> {
    if (this.isFilterCovered) return;
    this.#followed = await this.followAlso(this.#filter);
    await this.#syncer().redirected(false);
  }

  /**
   * Follows a stream from its first append on. An append that expects something of the stream can be decided only when its events are
   * here, so it waits for them. One that expects nothing, or no stream, goes ahead.
   *
   * @throws UnavailableError if the stream can't be fetched and the append expects something of it
   */
  async follow(streamId: StreamId, expectedVersion: ExpectedVersion): Promise<void> {
    await this.widen(streamId);
    if (expectedVersion === "any" || !this.isMissing(streamId)) return;
    try {
      await this.#syncer().sync();
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code === "store-closed") throw error;
      // It may be here although another stream could not be synced.
      if (exactVersion(expectedVersion) === 0 || !this.isMissing(streamId)) return;
      const message = `${streamId} is not on this device and can't be fetched: ${error.message}`;
      throw new UnavailableError(message, { streamId }, { cause: error });
    }
  }

  /** The device follows the stream from now on. Its events may have to be fetched. */
  async widen(streamId: StreamId): Promise<void> {
    if (isWithin(this.#followed.scope, streamId)) return;
    this.#followed = await this.followAlso([streamId]);
    await this.#syncer().redirected(false);
  }

  /** Whether events of a stream that the device follows are still to be fetched. */
  isMissing(streamId: StreamId): boolean {
    return this.#followed.backfills.some(({ within }) => within?.includes(streamId));
  }

  /** Streams with pending commits are followed, whatever the filter. @returns the replica as it is then */
  followAlso(added: Scope): Promise<Replica> {
    return this.#database.run((db) => followAlso(db, added));
  }
}
