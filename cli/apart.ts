/** One stream that can't be looked at does not keep a command from all others. */
import type { EdgeStore } from "../client/http.ts";
import { HeadwaterError } from "../shared/errors.ts";
import { healthOf } from "./progress.ts";

/**
 * Does the work for all items together. If that fails, it is done for fewer, until those that are the reason are alone.
 *
 * @param onFailed called with each of them
 * @returns what the work returns for the others
 * @throws HeadwaterError if the edge does not answer at all
 */
export async function apart<T, R>(
  store: EdgeStore,
  items: readonly T[],
  work: (items: readonly T[]) => Promise<readonly R[]>,
  onFailed: (item: T, error: HeadwaterError) => void,
): Promise<readonly R[]> {
  try {
    return await work(items);
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    await healthOf(store);
    if (items.length <= 1) {
      for (const item of items) onFailed(item, error);
      return [];
    }
    const middle = Math.ceil(items.length / 2);
    const first = await apart(store, items.slice(0, middle), work, onFailed);
    return [...first, ...(await apart(store, items.slice(middle), work, onFailed))];
  }
}
