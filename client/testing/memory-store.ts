/**
 * The store in memory, for an app's own tests: the code that an app runs, over fake-indexeddb instead of a browser's. Nothing global is
 * changed, so tests run beside each other, and beside a real IndexedDB.
 *
 * fake-indexeddb is loaded when a store is opened: whoever only says given, when and then need not have it.
 */
import { openStore, type Store } from "../store.ts";
import type { StoreOptions } from "../store-options.ts";

export interface MemoryStoreOptions extends Omit<StoreOptions, "name" | "platform"> {
  /** Default: `memory`. */
  readonly name?: string;
  /** A `new IDBFactory()` of fake-indexeddb: a device. Stores of one name on it share what they hold. Default: one of the store's own. */
  readonly indexedDB?: IDBFactory;
}

/** @throws Error where fake-indexeddb is not installed; besides, what `openStore` throws */
export async function openMemoryStore({ name = "memory", indexedDB, ...options }: MemoryStoreOptions = {}): Promise<Store> {
  const { IDBFactory, IDBKeyRange } = await loadFake();
  const device = indexedDB ?? new IDBFactory();
  // Locks and broadcasts reach all stores of a name in the process, so each device's name is its own.
  return openStore({ ...options, name: `${name}-${idOf(device)}`, platform: { indexedDB: device, IDBKeyRange } });
}

async function loadFake() {
  try {
    return await import("fake-indexeddb");
  } catch (error) {
    throw new Error("openMemoryStore needs fake-indexeddb: npm install --save-dev fake-indexeddb", { cause: error });
  }
}

const ids = new WeakMap<IDBFactory, string>();

function idOf(device: IDBFactory): string {
  const id = ids.get(device) ?? crypto.randomUUID();
  ids.set(device, id);
  return id;
}
