/** Web Locks that the browser denies for a while, as it does if the person blocks the site's storage. */
import { vi } from "vitest";

export interface DeniedLocks {
  isDenied: boolean;
}

/** To be undone by `vi.unstubAllGlobals()`. */
export function stubDeniedLocks(): DeniedLocks {
  const { locks } = navigator;
  const state: DeniedLocks = { isDenied: true };
  const unlessDenied = <T>(ask: () => Promise<T>) =>
    state.isDenied ? Promise.reject(new DOMException("The person blocks it.", "SecurityError")) : ask();
  const request: LockManager["request"] = (...given: unknown[]) => unlessDenied(() => Reflect.apply(locks.request, locks, given));
  vi.stubGlobal("navigator", { locks: { request, query: () => unlessDenied(() => locks.query()) } });
  return state;
}
