/**
 * The versions that a tab left its streams at, and how it tells that they still hold. Another tab may have appended, and sync
 * may have moved commits; but each takes a number of the outbox, which the database gives without gaps. So a commit is
 * decided on memory and written at once: the number that it is given is the next one after the tab's own last, or the
 * transaction is aborted and the versions are read.
 */
import { NO_STREAM, type Version } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

/** Streams that are remembered at most. */
const MOST = 10_000;

export class VersionMemory {
  readonly #versions = new Map<StreamId, Version>();
  #lastKey: number | undefined;
  /** Every stream of the database is remembered: it was empty when this tab began. */
  #isComplete = false;

  /** Undefined where nothing is remembered. */
  versionOf(streamId: StreamId): Version | undefined {
    return this.#versions.get(streamId) ?? (this.#isComplete ? NO_STREAM : undefined);
  }

  /**
   * Whether what was remembered held until this write.
   *
   * @param firstKey what the database gave to the first bundle written; undefined where nothing was, which tells nothing
   */
  holds(firstKey: number | undefined): boolean {
    return this.#lastKey !== undefined && firstKey === this.#lastKey + 1;
  }

  /**
   * Keeps what a write left.
   *
   * @param keys of the bundles written: at least one
   * @param wasEmpty the database held no event before
   */
  learn(versions: Iterable<readonly [StreamId, { readonly version: Version }]>, keys: readonly number[], wasEmpty: boolean): void {
    if (!this.holds(keys[0])) this.forget();
    this.#isComplete ||= wasEmpty;
    this.#lastKey = keys.at(-1);
    for (const [streamId, { version }] of versions) this.#versions.set(streamId, version);
    if (this.#versions.size > MOST) this.forget();
  }

  forget(): void {
    this.#versions.clear();
    this.#isComplete = false;
  }
}
