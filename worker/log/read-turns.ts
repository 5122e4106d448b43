/**
 * Readers take turns with everything else that the log does: the log is one thread. A search looks at a bounded part of the log in each of its
 * turns. Between two turns of any readers there is a pause, in which publications, messages and alarms have theirs.
 *
 *     reader A   ███        ███   ▪                 the first turn is at once, so that a page that is found soon waits for nobody
 *     reader B     ███   ███   ▪
 *     others          ─┘  └─┘  └─── publications
 *
 * While the log is written to, the turns are shorter, and answers without events go out one after the other: who asks for nothing again and again
 * costs writers little.
 */
import { StorageDamagedError } from "../../shared/errors.ts";
import { boundedWait } from "../../shared/wait.ts";
import { now } from "../objects/platform.ts";
import type { FoundEvents, Search } from "./feed-page.ts";

/** Milliseconds. */
const PAUSE = 2;
/** Parts of a search in one turn, at most. While the log is written to, a turn is one part for each `SEARCHES` under way. */
const PARTS = 10;
const SEARCHES = 4;
/** Milliseconds between two answers without events while the log is written to, and the longest wait for it. */
const BETWEEN = 8;
const LONGEST = 100;
/** For so many milliseconds after a publication it counts as written to. */
const WRITTEN = 100;

/** A page; or the error, if it would begin with damage. */
export type Found = FoundEvents | StorageDamagedError;

export class ReadTurns {
  /** When the last reader in the queue has its turn. */
  #last: Promise<void> = Promise.resolve();
  readonly #state: DurableObjectState;
  /** Those under way. */
  #searches = 0;
  /** When the last answer without events goes out. */
  #nothingAt = Number.NEGATIVE_INFINITY;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(state: DurableObjectState) {
    this.#state = state;
  }

  /** The log has taken a publication. */
  onWritten(): void {
    this.#writtenAt = now(this.#state);
  }

  /** For a reader who asks again as soon as there is an answer. @param search of what is behind a position */
  async answer(after: number, search: () => Search): Promise<FoundEvents> {
    const found = await this.finish(search());
    const wait = found.events.length === 0 && this.#isWritten ? this.#waitOfNothing() : 0;
    if (wait === 0) return found;
    await pause(wait);
    // What has come meanwhile belongs to the answer: a page that gets nowhere is at the log's end.
    return found.position > after ? found : this.finish(search());
  }

  #waitOfNothing(): number {
    const time = now(this.#state);
    this.#nothingAt = Math.max(time, Math.min(this.#nothingAt + BETWEEN, time + LONGEST));
    return this.#nothingAt - time;
  }

  async finish(search: Search): Promise<FoundEvents>;
  /** @param isWanted asked after each pause. @returns undefined if the search is not wanted any more */
  async finish(search: Search, isWanted: () => boolean): Promise<FoundEvents | undefined>;
  async finish(search: Search, isWanted: () => boolean = () => true): Promise<FoundEvents | undefined> {
    this.#searches++;
    try {
      for (;;) {
        for (let left = this.#parts; left > 0; left--) {
          const { done, value } = search.next();
          if (done === true) return value;
        }
        await this.next();
        if (!isWanted()) return undefined;
      }
    } finally {
      this.#searches--;
    }
  }

  /** Of the next turn. */
  get #parts(): number {
    return this.#isWritten ? Math.min(PARTS, Math.ceil(this.#searches / SEARCHES)) : PARTS;
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
    this.#last = this.#last.then(() => pause(PAUSE));
    return this.#last;
  }

  get #isWritten(): boolean {
    return now(this.#state) - this.#writtenAt < WRITTEN;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, boundedWait(milliseconds)));
}
