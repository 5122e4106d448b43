/**
 * A stream of a store that is deleted. It loses everything but a note, by which it refuses whatever comes later without asking the log.
 *
 *     the log calls it ────────────────────────────────┐
 *     the log refuses what the stream asks or publishes ─┴──► alarm and events are gone ──► note
 *
 *     "!deleted"   that the store was deleted. An object that has events has no such note
 *
 * An append is stored before it is published, and acknowledged afterwards. So a stream that has not heard of the deletion hears of it from
 * the log before it acknowledges anything, if the log can be reached at all (docs/decisions/0043-deleting-a-store.md).
 */
import { storeDeleted } from "../../shared/edge/deletion.ts";
import { eraseStorage } from "../objects/erase.ts";
import { type Refused, toRefused } from "../objects/refused.ts";
import type { StreamRuns } from "./stream-runs.ts";

/** Sorts before the keys of all runs, and a version that does not know it ignores it. */
const DELETED = "!deleted";

export class StreamDeletion {
  readonly #storage: DurableObjectStorage;
  readonly #runs: StreamRuns;
  #isDeleted: boolean;
  #erasing: Promise<void> | undefined;

  constructor(storage: DurableObjectStorage, runs: StreamRuns) {
    this.#storage = storage;
    this.#runs = runs;
    // A stream that has events pays no read for it.
    this.#isDeleted = runs.version === 0 && storage.kv.get(DELETED) !== undefined;
    if (this.#isDeleted) this.#erasing = Promise.resolve();
  }

  /** The answer to everybody; undefined if the store is not deleted, as far as the stream knows. */
  get refused(): Refused | undefined {
    return this.#isDeleted ? toRefused(storeDeleted()) : undefined;
  }

  /** Deletes everything. Resolves when the note is written. From this call on, the stream refuses everything. */
  erase(): Promise<void> {
    this.#isDeleted = true;
    this.#erasing ??= this.#erase();
    return this.#erasing;
  }

  async #erase(): Promise<void> {
    this.#runs.forget();
    await eraseStorage(this.#storage);
    this.#storage.kv.put(DELETED, true);
  }
}
