/**
 * Which filters the device's open tabs have. Each holds a shared Web Lock that names its filter: the browser releases it when the tab closes
 * or crashes. Without Web Locks no tab knows of the others, and each sees to its own filter (`follower.ts`).
 */
import type { Scope } from "../../shared/device/replica.ts";

/** @param name of the database @returns when the other tabs can know of the filter */
export async function announceFilter(name: string, filter: Scope, ending: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const hold = () => {
      resolve();
      return new Promise<void>((release) => {
        if (ending.aborted) release();
        ending.addEventListener("abort", () => release());
      });
    };
    const held = globalThis.navigator?.locks?.request(lockOf(name) + JSON.stringify(filter), { mode: "shared" }, hold);
    // If the browser denies it, it is as if there were no Web Locks.
    if (held === undefined) resolve();
    else held.catch(() => resolve());
  });
}

/** The filters of all open tabs, as far as the browser says so. */
export async function openFilters(name: string): Promise<readonly Scope[]> {
  const lock = lockOf(name);
  const { held = [] } = (await globalThis.navigator?.locks?.query().catch(() => undefined)) ?? {};
  return held.flatMap(({ name = "" }): Scope[] => (name.startsWith(lock) ? [JSON.parse(name.slice(lock.length))] : []));
}

function lockOf(name: string): string {
  return `headwater:${name}/filter:`;
}
