/** Runs work again after each change of the device's data. All changes that come during a run share the next run. */
import type { StoreInternals } from "../internals.ts";

/**
 * @param work calls `isWanted` before it publishes a result, and publishes nothing if that returns false
 * @returns a function that ends it
 */
export function rerunOnChange(
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
      // Work that throws is an unhandled rejection. It runs again at the next change.
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
