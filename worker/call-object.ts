/** Calling a Durable Object as its errors demand: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */

/** An object that is overloaded is left in peace; one that went away is tried once more on a new stub, the old being broken. */
export async function callObject<S, T>(stub: () => S, call: (stub: S) => Promise<T>): Promise<T> {
  try {
    return await call(stub());
  } catch (error) {
    if (!isRetryable(error)) throw error;
    return await call(stub());
  }
}

function isRetryable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { retryable, overloaded }: { retryable?: unknown; overloaded?: unknown } = error as Error & { retryable?: unknown };
  return retryable === true && overloaded !== true;
}
