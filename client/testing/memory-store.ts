/**
 * A store in memory, for an app's own tests. It runs the same code as in an app, on fake-indexeddb instead of a browser's IndexedDB. It
 * changes nothing global, so tests can run at the same time, and beside a real IndexedDB.
 *
 * fake-indexeddb is loaded when a store is opened. Tests that use only given, when and then do not need it.
 */
import * as option from "../../shared/options.ts";
import { openStore, type Store } from "../store.ts";
import { STORE_OPTIONS, type StoreOptions } from "../store-options.ts";

export interface MemoryStoreOptions extends Omit<StoreOptions, "name" | "platform"> {
  /** The name of the store on its device. Default: `memory`. */
  readonly name?: string;
  /**
   * The device: a `new IDBFactory()` of fake-indexeddb. Stores with the same name on one device share their data. Default: a new device for
   * each store.
   */
  readonly indexedDB?: IDBFactory;
}

const { name: _, platform: __, ...OTHERS } = STORE_OPTIONS;

export const MEMORY_STORE_OPTIONS = {
  name: option.withPreset(option.text, "memory"),
  indexedDB: option.object,
  ...OTHERS,
} satisfies option.OptionsOf<MemoryStoreOptions>;

/** @throws Error if fake-indexeddb is not installed; all errors of `openStore` */
export async function openMemoryStore(given: MemoryStoreOptions = {}): Promise<Store> {
  const { name, indexedDB, ...options } = option.completeOptions(given, MEMORY_STORE_OPTIONS);
  const { IDBFactory, IDBKeyRange } = await loadFake();
  const device = indexedDB ?? new IDBFactory();
  // Web Locks and broadcasts reach all stores of the same name in the process, so each device gets its own names.
  return openStore({ ...options, name: `${name}-${idOf(device)}`, platform: { indexedDB: device, IDBKeyRange } });
}

async function loadFake() {
  try {
    return await import("fake-indexeddb");
  } catch (error) {
    throw new Error("openMemoryStore needs fake-indexeddb. Install it: npm install --save-dev fake-indexeddb", { cause: error });
  }
}

const ids = new WeakMap<IDBFactory, string>();

function idOf(device: IDBFactory): string {
  const id = ids.get(device) ?? crypto.randomUUID();
  ids.set(device, id);
  return id;
}
