/** Runs of `work`, one after the other. Calls during a run share the next one, which begins when the run has ended. */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = () => {
    next = undefined;
    last = work();
    return last;
  };
  return () => {
    // A failure of the run before is reported to its own callers.
    next ??= Promise.allSettled([last]).then(start);
    return next;
  };
}
