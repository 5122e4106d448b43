/** Background work that one tab of the device does at a time. */
import { StorageFailedError } from "../../shared/errors.ts";
import { messageOf } from "../../shared/thrown.ts";
import { pause } from "./pause.ts";

/** Milliseconds before a tab requests a lock again that the browser has denied. */
const AGAIN = 2_000;

/**
 * Runs background work until `ending` is aborted. This tab starts when it gets the Web Lock. If the browser denies the lock, the tab requests
 * it again after a wait. Without Web Locks, or without a lock name, it starts at once.
 *
 * @param begin starts the work, and returns a function that ends it
 * @param onDenied is called with the reason when the browser denies the lock, once however long that lasts, and with undefined when it no
 *   longer does
 */
export async function whileElected(
  lock: string | undefined,
  ending: AbortSignal,
  begin: () => () => void,
  onDenied: (reason: StorageFailedError | undefined) => void,
): Promise<void> {
  const { locks } = globalThis.navigator ?? {};
  if (lock === undefined || locks === undefined) return work(begin, ending);
  for (let isDenied = false; !ending.aborted; ) {
    const lost = new AbortController();
    try {
      if (isDenied) {
        // The answer to a request comes when no other tab holds the lock. A query is denied, or answered, at once.
        await locks.query();
        isDenied = false;
        onDenied(undefined);
      }
      await locks.request(lock, { signal: ending }, () => work(begin, AbortSignal.any([ending, lost.signal])));
    } catch (error) {
      lost.abort();
      if (ending.aborted) return;
      const message = `The browser denies the Web Lock by which tabs elect one for this work: ${messageOf(error)}`;
      if (!isDenied) onDenied(new StorageFailedError(message, {}, { cause: error }));
      isDenied = true;
      await pause(AGAIN, ending);
    }
  }
}

/** Resolves when the work has ended. */
function work(begin: () => () => void, ending: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // The browser may grant the lock while the tab gives up its request.
    if (ending.aborted) return resolve();
    const end = begin();
    ending.addEventListener("abort", () => {
      end();
      resolve();
    });
  });
}
