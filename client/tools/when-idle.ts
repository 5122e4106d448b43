/** Work that nobody waits for. */

/** Where a browser never has a moment to spare. */
const LONGEST = 5_000;

/**
 * Does `work` when the tab has nothing else to do. What fails is not told: it is work that may be left undone, and is tried when it comes
 * up again.
 */
export function whenIdle(ending: AbortSignal, work: () => Promise<void>): void {
  const run = () => {
    if (!ending.aborted) void work().catch(() => undefined);
  };
  if (typeof requestIdleCallback === "function") requestIdleCallback(run, { timeout: LONGEST });
  else setTimeout(run);
}
