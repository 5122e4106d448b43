/**
 * Stores whose log was restored from an older copy, and the devices that follow them. Only the checker of shelves (`stock.ts`) asks: a
 * commit that was decided on lost events may come after the events that replaced them, so a shelf may get below zero there.
 */
import type { StorageFault } from "../faults.ts";
import type { Observation } from "./observation.ts";

export class PutBack {
  readonly #stores = new Map<string, string>();
  readonly #putBack = new Set<string>();

  see(observation: Observation): void {
    if (observation.kind === "opened") this.#stores.set(observation.device, observation.store);
    else if (observation.kind === "replaced" && observation.copiedAt !== null) this.#putBack.add(observation.store);
  }

  hasStore(store: string): boolean {
    return this.#putBack.has(store);
  }

  has(device: string): boolean {
    return this.hasStore(this.#stores.get(device) ?? "");
  }
}

/** Whether a fault puts a stream back alone. */
export function isPutBack(fault: StorageFault): boolean {
  return fault === "restore-stream" || fault === "delete-stream";
}

/** The streams that are put back alone. What they answer is true of them, and will be undone. */
export class StreamsPutBack {
  /** When each was put back, and when it was repaired: undefined as long as it is not. */
  readonly #spells: { readonly store: string; readonly streamId: string; readonly from: number; until: number | undefined }[] = [];

  see(observation: Observation, now: number): void {
    if ((observation.kind !== "damaged" && observation.kind !== "repaired") || !isPutBack(observation.fault)) return;
    const { kind, store, streamId } = observation;
    if (kind === "damaged") this.#spells.push({ store, streamId, from: now, until: undefined });
    else for (const spell of this.#spells) if (spell.store === store && spell.streamId === streamId) spell.until ??= now;
  }

  /** Whether a stream that was put back has answered this. An answer with a position is the log's, which was not put back. */
  hasAnswered(observation: Observation): boolean {
    switch (observation.kind) {
      case "edge-stream":
        return this.mayHaveTaken(observation.store, observation.streamId, observation.sentAt);
      case "receipt": {
        const { store, commit, answer, sentAt } = observation;
        return answer.position === null && this.mayHaveTaken(store, commit.streamId, sentAt);
      }
      default:
        return false;
    }
  }

  /** Whether the stream, as long as it was put back, may have taken what was sent then: a repair undoes it, and who sent it sends it again. */
  mayHaveTaken(store: string, streamId: string, sentAt: number): boolean {
    return this.#spells.some((spell) => spell.store === store && spell.streamId === streamId && sentAt <= (spell.until ?? sentAt));
  }
}
