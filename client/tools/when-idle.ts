/** Optional work for when the tab is idle. */

/** Milliseconds after which the work runs even if the browser is never idle. */
const LONGEST = 5_000;

/**
 * Runs `work` when the tab is idle, unless `ending` is aborted by then. Errors are ignored: the work is optional, and the caller schedules
 * it again on the next occasion.
 */
export function whenIdle(ending: AbortSignal, work: () => Promise<void>): void {
  const run = () => {
    if (!ending.aborted) void work().catch(() => undefined);
  };
  if (typeof requestIdleCallback === "function") requestIdleCallback(run, { timeout: LONGEST });
  else setTimeout(run);
}
