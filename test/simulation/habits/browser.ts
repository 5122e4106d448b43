/**
 * The browsers of devices: what they lack, and how they answer. A web page without a secure context has neither Web Locks nor `randomUUID`. An
 * old browser has no BroadcastChannel. One has no StorageManager; others grant or refuse persistent storage, at once or after a while.
 */
import type { Persistence } from "../platform/page.ts";
import type { Random } from "../random.ts";

export interface Browser {
  readonly hasLocks: boolean;
  readonly hasChannels: boolean;
  /** If not, it has no locks either. */
  readonly isSecure: boolean;
  readonly persistence: Persistence | undefined;
}

export const MODERN: Browser = { hasLocks: true, hasChannels: true, isSecure: true, persistence: undefined };

/**
 * @param tabs of the device, at most. Several tabs have Web Locks and BroadcastChannel here: without locks they take the lead from each other
 *   about ten times a second, with a request each time, and without channels each shows what it has counted by itself
 */
export function browserOf(random: Random, tabs: number): Browser {
  const isSecure = random.chance(0.7) || tabs > 1;
  const hasLocks = (isSecure && random.chance(0.7)) || tabs > 1;
  return {
    isSecure,
    hasLocks,
    // Every browser with Web Locks has BroadcastChannel.
    hasChannels: random.chance(0.5) || hasLocks,
    persistence: random.chance(0.7)
      ? { isPersisted: random.chance(0.2), isGranted: random.chance(0.5), answersAfter: random.between(0, 20_000) }
      : undefined,
  };
}

/** `crypto` and `URL` of a web page without a secure context: new ids come from the names of object URLs. */
export function insecure({ randomUUID, getRandomValues }: Crypto): { readonly crypto: object; readonly URL: unknown } {
  class PageURL extends URL {
    static override createObjectURL(): string {
      return `blob:http://app/${randomUUID()}`;
    }

    static override revokeObjectURL(): void {}
  }
  return { crypto: { getRandomValues }, URL: PageURL };
}
