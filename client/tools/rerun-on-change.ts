/** Work done anew after each change of what the device holds; changes that come during it share the next round. */
import type { StoreInternals } from "../internals.ts";

/**
 * @param work asks `isWanted` before it tells of anything
 * @returns ends it
 */
export function latest(
  { watch, ending }: Pick<StoreInternals, "watch" | "ending">,
  work: (isWanted: () => boolean) => Promise<void>,
): () => void {
  let isEnded = false;
  let isRunning = false;
  let isDue = false;
  const isWanted = () => !isEnded && !ending.aborted;
  const run = async () => {
    isDue = true;
    if (isRunning) return;
    isRunning = true;
    try {
      while (isDue && isWanted()) {
        isDue = false;
        await work(isWanted);
      }
    } finally {
      // Work that throws is an uncaught error of whoever gave it, and is tried again at the next change.
      isRunning = false;
    }
  };
  const unwatch = watch(() => void run());
  void run();
  return () => {
    isEnded = true;
    unwatch();
  };
}
