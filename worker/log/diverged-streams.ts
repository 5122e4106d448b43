/**
 * The streams that hold other events than the log, as far as one of the two has noticed. It is stored, one row for each such stream: who runs
 * the edge has to know of them until they are repaired, also if the log was evicted meanwhile.
 */

const PREFIX = "diverged/";

export class DivergedStreams {
  readonly #storage: DurableObjectStorage;
  /** The first version at which each stream and the log differ. */
  readonly #versions = new Map<string, number>();

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    for (const [key, version] of storage.kv.list<number>({ prefix: PREFIX })) this.#versions.set(key.slice(PREFIX.length), version);
  }

  get count(): number {
    return this.#versions.size;
  }

  /** Undefined if the stream and the log agree, as far as is known. */
  at(streamId: string): number | undefined {
    return this.#versions.get(streamId);
  }

  /** @returns whether the stream was not known to have diverged at this version */
  add(streamId: string, version: number): boolean {
    if (this.#versions.get(streamId) === version) return false;
    this.#storage.kv.put(PREFIX + streamId, version);
    this.#versions.set(streamId, version);
    return true;
  }

  /** A repair may have taken the events of a stream that never was out of the log. @param isLogged whether the log has a stream */
  retain(isLogged: (streamId: string) => boolean): void {
    for (const streamId of [...this.#versions.keys()]) if (!isLogged(streamId)) this.delete(streamId);
  }

  delete(streamId: string): void {
    if (!this.#versions.delete(streamId)) return;
    this.#storage.kv.delete(PREFIX + streamId);
  }
}
