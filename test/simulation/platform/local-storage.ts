/**
 * `localStorage` of one device: texts that its tabs share, with the platform's interface as far as the product uses it.
 *
 * Faults: none of its own. It outlives the databases when a browser deletes them. Left out: a device that loses the last writes when it
 * crashes, a storage that is full or denied, and a person who clears it together with the databases. Then nothing is left that could tell
 * what was lost: `docs/decisions/0039-devices-tell-what-they-lost.md`.
 */

type Method = "getItem" | "setItem" | "removeItem";

export function localStorageOf(texts: Map<string, string>): Storage {
  const methods: Pick<Storage, Method> = {
    getItem: (key) => texts.get(key) ?? null,
    setItem: (key, text) => void texts.set(key, text),
    removeItem: (key) => void texts.delete(key),
  };
  const traps: ProxyHandler<Pick<Storage, Method>> = {
    ownKeys: () => [...texts.keys()],
    getOwnPropertyDescriptor: (_, key) => {
      const value = texts.get(String(key));
      return value === undefined ? undefined : { value, enumerable: true, configurable: true, writable: true };
    },
  };
  // The product uses nothing else of it.
  return new Proxy(methods, traps) as unknown as Storage;
}
