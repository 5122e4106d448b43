import { boundedWait } from "../../shared/wait.ts";

/** Resolves after this many milliseconds, or when the signal is aborted: at once if it is already. */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      // A signal may live much longer than this wait.
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, boundedWait(milliseconds));
    signal?.addEventListener("abort", end);
  });
}
