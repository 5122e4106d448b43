/** Calls a Durable Object, and retries by its errors: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
import { StoreFullError } from "../../shared/errors.ts";
import { isFull, isOverloaded, isRetryable } from "../report/platform-error.ts";

/** How many retries are left. All calls of one request share them, so that the number of its calls is bounded. */
export interface Retries {
  left: number;
}

/** An overloaded object is not called again. An object that went away is called once more on a new stub, because the old one is broken. */
export async function callObject<S, T>(stub: () => S, call: (stub: S) => Promise<T>, retries: Retries = { left: 1 }): Promise<T> {
  try {
    return await call(stub());
  } catch (error) {
    if (!isRetryable(error) || isOverloaded(error) || retries.left === 0) throw error;
    retries.left--;
    return await call(stub());
  }
}

/**
 * Makes a call that writes.
 *
 * @throws StoreFullError if a write found no room and the runtime reset the object for it, whatever the object itself would have answered
 */
export async function withRoom<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw isFull(error) ? new StoreFullError() : error;
  }
}
