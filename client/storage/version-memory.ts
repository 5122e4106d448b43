/**
 * Remembers the versions that a tab's last writes left, and detects when they may be out of date. Another tab may have appended, and sync
 * may have moved commits. Each of these uses up a key of the outbox, and the database assigns the keys without gaps. So a commit is decided
 * on the remembered version, and written at once. If its key is the next one after this tab's last key, the memory was right. If not, the
 * transaction is aborted, and the versions are read.
 */
import { NO_STREAM, type Version } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";

/** The most streams that are remembered. */
const MOST = 10_000;

export class VersionMemory {
  readonly #versions = new Map<StreamId, Version>();
  #lastKey: number | undefined;
  /** True if every stream of the database is remembered, because the database was empty when this tab started. */
  #isComplete = false;
  #connection: object | undefined;

  /** Forgets what was remembered on another connection: the database may have been deleted since, or hold what seemed to fail. */
  startOn(connection: object): void {
    if (connection !== this.#connection) this.forget();
    this.#connection = connection;
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

  /**
   * Remembers the versions after a write.
   *
   * @param keys the keys of the groups written: at least one
   * @param wasEmpty true if the database held no event before
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
