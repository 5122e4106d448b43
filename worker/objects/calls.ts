/** Calling a Durable Object as its errors demand: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */

/** How many calls may yet be tried again: one request's calls share them, so that what it asks of the platform is bounded. */
export interface Retries {
  left: number;
}

/** An object that is overloaded is left in peace; one that went away is tried once more on a new stub, the old being broken. */
export async function callObject<S, T>(stub: () => S, call: (stub: S) => Promise<T>, retries: Retries = { left: 1 }): Promise<T> {
  try {
    return await call(stub());
  } catch (error) {
    if (!flagsOf(error).retryable || isOverloaded(error) || retries.left === 0) throw error;
    retries.left--;
    return await call(stub());
  }
}

export function isOverloaded(error: unknown): boolean {
  return flagsOf(error).overloaded;
}

/** The platform sets them on errors of its own. */
function flagsOf(error: unknown): { retryable: boolean; overloaded: boolean } {
  const isSet = (flag: string) => error instanceof Error && Reflect.get(error, flag) === true;
  return { retryable: isSet("retryable"), overloaded: isSet("overloaded") };
}
