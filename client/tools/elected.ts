/** Background work of one tab of the device at a time. */

/**
 * Has work under way until `ending`: in this tab when its turn has come, by a Web Lock; at once where there are none, or none is named.
 *
 * @param begin answers what ends it
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
