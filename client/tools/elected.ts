/** Background work that one tab of the device does at a time. */

/**
 * Runs background work until `ending` is aborted. This tab starts when it gets the Web Lock. Without Web Locks, or without a lock name, it
 * starts at once.
 *
 * @param begin starts the work, and returns a function that ends it
 */
export async function whileElected(lock: string | undefined, ending: AbortSignal, begin: () => () => void): Promise<void> {
  const work = () =>
    new Promise<void>((resolve) => {
      const end = begin();
      ending.addEventListener("abort", () => {
        end();
        resolve();
      });
    });
  const { locks } = globalThis.navigator ?? {};
  if (lock === undefined || locks === undefined) return work();
  await locks.request(lock, { signal: ending }, work).catch((error: unknown) => {
    if (!ending.aborted) throw error;
  });
}
