/**
 * Calls a callback of the app. An error that it throws becomes an uncaught error, as it does for a DOM event listener, and the caller
 * continues.
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
