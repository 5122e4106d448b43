/**
 * Streams that have more than the log, as far as they have reported since the log woke: their run came after a gap or found no room, or they
 * send their runs in parts. A stream that could not reach the log reports as soon as it can, by its alarm.
 */
import type { StoreHealth } from "../../shared/wire/wire.ts";

export class WaitingStreams {
  readonly #streams = new Map<string, { readonly version: number; readonly since: number }>();

  /** @param since when its first event that waits was recorded, in milliseconds since 1970 */
  add(streamId: string, version: number, since: number): void {
    this.#streams.set(streamId, { version, since });
  }

  delete(streamId: string): void {
    this.#streams.delete(streamId);
  }

  /** How many events wait, and the age of the oldest. @param headOf the last version of a stream in the log */
  counts(headOf: (streamId: string) => number, now: number): Pick<StoreHealth, "unpublished" | "oldestUnpublishedAgeMs"> {
    let unpublished = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [streamId, { version, since }] of this.#streams) {
      unpublished += version - headOf(streamId);
      oldest = Math.min(oldest, since);
    }
    return { unpublished, oldestUnpublishedAgeMs: unpublished === 0 ? 0 : Math.max(0, now - oldest) };
  }
}
