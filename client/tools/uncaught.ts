/**
 * Calls back into the app, where nobody waits for an answer: what it throws becomes an uncaught error, as that of an event's listener does,
 * and what called goes on.
 */
export function uncaught(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
