/** The object that has the index of a store's streams. It is of the class of the log, so it needs no binding of its own: `stream-index.ts`. */
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { IndexedStreams } from "../../shared/wire/reconcile.ts";
import type { EdgeEnv } from "../env.ts";
import { eraseStorage } from "../objects/erase.ts";
import { DurableObject } from "../objects/platform.ts";
import { StreamIndex } from "./stream-index.ts";

/** What each log's class has besides: an object of it beside the log has the names of the store's streams, and how far the log has reached. */
export class IndexObject<E extends EdgeEnv> extends DurableObject<E> {
  readonly #index: StreamIndex;

  constructor(state: DurableObjectState, env: E) {
    super(state, env);
    this.#index = new StreamIndex(state.storage);
  }

  /** @internal New streams of its store. */
  addToIndex(streamIds: readonly string[]): void {
    this.#index.add(streamIds);
  }

  /** @internal Its streams after one, in the order of their ids. */
  listIndex(after: string, limit: number): IndexedStreams {
    return this.#index.list(after, limit);
  }

  /** @internal The end of the log that it remembers; null if it was never told one. */
  rememberedEnd(): LogEnd | null {
    return this.#index.end;
  }

  /** @internal The end of the log, and the one that it was told before. Returns whether it remembers the end now. */
  rememberEnd(end: LogEnd, before: LogEnd | null): boolean {
    return this.#index.remember(end, before);
  }

  /** @internal It forgets streams that were deleted, and is erased with the last. Returns whether others are left. */
  async removeFromIndex(streamIds: readonly string[]): Promise<boolean> {
    const isLeft = this.#index.remove(streamIds);
    if (!isLeft) await eraseStorage(this.ctx.storage);
    return isLeft;
  }
}
