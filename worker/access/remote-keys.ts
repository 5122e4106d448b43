/**
 * Public keys at an address. `decideKeySet` (`shared/edge/key-set.ts`) says when they are fetched; `jose` fetches and reads them. Each isolate
 * of the Worker has its own.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from "jose";
import { decideKeySet, FETCH_TIME, GONE } from "../../shared/edge/key-set.ts";
import { UnavailableError } from "../../shared/errors.ts";
import { boundedWait } from "../../shared/wait.ts";
import { logFault } from "../report/journal.ts";

/** @throws UnavailableError, when it is called, if the keys can't be fetched and there are none that may be used */
export function remoteKeys(address: string): JWTVerifyGetKey {
  const set = new RemoteKeys(address);
  return async (header, token) => {
    await set.prepare(false);
    try {
      return await set.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await set.prepare(true);
      return set.find(header, token);
    }
  };
}

interface Fetching {
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly ended: Promise<void>;
}

class RemoteKeys {
  /** It fetches only in `#fetch`: by itself it would fetch for each request while the address does not answer. */
  readonly #set: ReturnType<typeof createRemoteJWKSet>;
  #fetchedAt: number | undefined;
  #failedAt: number | undefined;
  #fetching: Fetching | undefined;

  constructor(address: string) {
    const never = Number.POSITIVE_INFINITY;
    this.#set = createRemoteJWKSet(new URL(address), { cacheMaxAge: never, cooldownDuration: never, timeoutDuration: FETCH_TIME });
  }

  /** To be called after `prepare`. */
  get find(): JWTVerifyGetKey {
    return this.#set;
  }

  /** @param isUnknown whether the token names a key that the fetched keys do not have */
  async prepare(isUnknown: boolean): Promise<void> {
    for (;;) {
      const facts = { fetchedAt: this.#fetchedAt, failedAt: this.#failedAt, fetchingSince: this.#fetching?.since };
      const decision = decideKeySet({ now: Date.now(), ...facts }, isUnknown);
      switch (decision.kind) {
        case "use":
          return;
        case "fetch":
          await this.#fetch();
          break;
        case "wait":
          if (this.#fetching !== undefined) await this.#ended(this.#fetching);
          break;
        case "unavailable": {
          const retryAfter = Math.ceil(decision.retryAfterMs / 1000);
          throw new UnavailableError("The edge can't fetch the keys that verify tokens: try again later.", { retryAfter });
        }
      }
    }
  }

  async #fetch(): Promise<void> {
    const reload = this.#set.reload();
    const fetching = { since: Date.now(), ended: reload.catch(() => undefined) };
    this.#fetching = fetching;
    try {
      await reload;
      this.#fetchedAt = Date.now();
      this.#failedAt = undefined;
    } catch (error) {
      // If it was taken for gone, another one is under way, and that one says how it stands.
      if (this.#fetching === fetching) this.#failedAt = Date.now();
      logFault("keys", error);
    } finally {
      if (this.#fetching === fetching) this.#fetching = undefined;
    }
  }

  /** The platform ends a fetch with the request that began it, without a word to others. So they wait with a timer of their own. */
  async #ended({ since, ended }: Fetching): Promise<void> {
    let end: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      end = resolve;
    });
    const timer = setTimeout(end, boundedWait(since + GONE - Date.now()));
    await Promise.race([ended, late]);
    clearTimeout(timer);
  }
}
