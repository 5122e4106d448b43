/** Connections that a request may have open at once: https://developers.cloudflare.com/workers/platform/limits/ */
const IN_FLIGHT = 6;

/** Runs `work` for each item, a few at a time, and returns the outcome of each, in order. */
export async function eachInFlight<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<{ value?: R; error?: unknown }[]> {
  const outcomes: { value?: R; error?: unknown }[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      const item = items[at] as T;
      try {
        outcomes[at] = { value: await work(item) };
      } catch (error) {
        outcomes[at] = { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, items.length) }, worker));
  return outcomes;
}
