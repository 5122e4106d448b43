/**
 * Which streams the device follows, as this tab knows it, and how a stream outside of that is followed.
 *
 *     append to a stream ──► in the scope? ── yes ──► backfilled? ── yes ──► go ahead
 *                                │ no                     │ no
 *                                └──► widen the scope ────┴──► needs to know the stream? ── no ──► go ahead
 *                                                                        └── yes ──► sync, or fail
 */
import { isWithin, type Replica } from "../../shared/device/replica.ts";
import { HeadwaterError, UnavailableError } from "../../shared/errors.ts";
import { type ExpectedVersion, exactVersion } from "../../shared/expected-version.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { Database } from "../storage/database.ts";
import { followStreams } from "../storage/scope.ts";
import type { Syncer } from "./syncer.ts";

export class Follower {
  readonly #database: Database;
  readonly #syncer: () => Syncer;
  #followed: Pick<Replica, "scope" | "backfills">;

  /** @param replica as it was read when the store was opened */
  constructor(database: Database, syncer: () => Syncer, replica: Replica) {
    this.#database = database;
    this.#syncer = syncer;
    this.#followed = replica;
  }

  /** The replica has changed, by any tab. */
  update(replica: Replica): void {
    this.#followed = replica;
  }

  /**
   * Follows a stream from its first append on. An append that expects something of the stream can be decided only when its events are
   * here, so it waits for them. One that expects nothing, or no stream, goes ahead.
   *
   * @throws UnavailableError if the stream can't be fetched and the append expects something of it
   */
  async follow(streamId: StreamId, expectedVersion: ExpectedVersion): Promise<void> {
    if (!isWithin(this.#followed.scope, streamId)) {
      this.#followed = await this.followStreams([streamId]);
      await this.#syncer().redirected(false);
    }
    const isMissing = this.#followed.backfills.some(({ within }) => within?.includes(streamId));
    if (expectedVersion === "any" || !isMissing) return;
    try {
      await this.#syncer().sync();
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code === "store-closed") throw error;
      if (exactVersion(expectedVersion) === 0) return;
      const message = `${streamId} is not on this device and can't be fetched: ${error.message}`;
      throw new UnavailableError(message, { streamId }, { cause: error });
    }
  }

  /** Streams with pending commits are followed, whatever the filter. @returns the replica as it is then */
  followStreams(streamIds: readonly string[]): Promise<Replica> {
    return this.#database.run((db) => followStreams(db, streamIds));
  }
}
