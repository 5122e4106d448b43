/** Calling a Durable Object as its errors demand: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
import { isOverloaded, isRetryable } from "../report/platform-error.ts";

/** How many calls may yet be tried again: one request's calls share them, so that what it asks of the platform is bounded. */
export interface Retries {
  left: number;
}

/** An object that is overloaded is left in peace; one that went away is tried once more on a new stub, the old being broken. */
export async function callObject<S, T>(stub: () => S, call: (stub: S) => Promise<T>, retries: Retries = { left: 1 }): Promise<T> {
  try {
    return await call(stub());
  } catch (error) {
    if (!isRetryable(error) || isOverloaded(error) || retries.left === 0) throw error;
    retries.left--;
    return await call(stub());
  }
}
