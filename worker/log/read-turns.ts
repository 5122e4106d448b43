/**
 * Readers take turns with everything else that the log does: the log is one thread. A search looks at a bounded part of the log in each of its
 * turns. Between two turns of any readers there is a pause, in which publications, messages and alarms have theirs.
 *
 *     reader A   ███        ███   ▪                 the first turn is at once, so that a page that is found soon waits for nobody
 *     reader B     ███   ███   ▪
 *     others          ─┘  └─┘  └─── publications
 */
import { StorageDamagedError } from "../../shared/errors.ts";
import type { FoundEvents, Search } from "./feed-page.ts";

/** Milliseconds. */
const PAUSE = 2;

/** A page; or the error, if it would begin with damage. */
export type Found = FoundEvents | StorageDamagedError;

export class ReadTurns {
  /** When the last reader in the queue has its turn. */
  #last: Promise<void> = Promise.resolve();

  async finish(search: Search): Promise<FoundEvents>;
  /** @param isWanted asked after each pause. @returns undefined if the search is not wanted any more */
  async finish(search: Search, isWanted: () => boolean): Promise<FoundEvents | undefined>;
  async finish(search: Search, isWanted: () => boolean = () => true): Promise<FoundEvents | undefined> {
    for (;;) {
      const { done, value } = search.next();
      if (done === true) return value;
      await this.next();
      if (!isWanted()) return undefined;
    }
  }

  /** The same for a reader who goes on behind the answer that the log is damaged. */
  async find(search: Search, isWanted: () => boolean): Promise<Found | undefined> {
    try {
      return await this.finish(search, isWanted);
    } catch (error) {
      if (error instanceof StorageDamagedError) return error;
      throw error;
    }
  }

  /** Resolves when it is the caller's turn. */
  next(): Promise<void> {
    this.#last = this.#last.then(pause);
    return this.#last;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE));
}
