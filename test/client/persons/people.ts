/** One device, the people who use it, and an edge that records who appended what. */
import { connectStore, type EdgeStore } from "../../../client/http.ts";
import { openStore, type Store, type StoreOptions, type SyncOptions } from "../../../client/index.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { SECRET, signToken } from "../../support/tokens.ts";

export const event = (data: unknown = null, type = "Noted") => ({ type, data });

export const startJwtEdge = (): Promise<EdgeProcess> => startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });

export interface Device {
  /** The stores' name. */
  readonly name: string;
  readonly url: string;
  /** As `ann` reads it. */
  readonly atEdge: EdgeStore;
  /** The network of all its tabs. */
  isOnline: boolean;
  /** How many requests reached the edge. */
  requests: number;
  open(options?: Omit<Partial<StoreOptions>, "sync"> & { readonly sync?: Partial<SyncOptions> }): Promise<Store>;
  close(): Promise<void>;
  /** What the edge has recorded, as `actor: data`, in the order of positions. */
  recorded(): Promise<string[]>;
}

/** @param edgeUrl of an edge that requires tokens */
export function device(edgeUrl: string): Device {
  const id = crypto.randomUUID();
  const url = `${edgeUrl}/v1/${id}`;
  const tabs: Store[] = [];
  const atEdge = connectStore({ url, token: () => signToken({ sub: "ann" }) });
  const here: Device = {
    name: id,
    url,
    atEdge,
    isOnline: true,
    requests: 0,
    async open({ sync, ...options } = {}) {
      const switched: typeof fetch = (...request) => {
        if (!here.isOnline) return Promise.reject(new TypeError("offline"));
        here.requests++;
        return fetch(...request);
      };
      const store = await openStore({ name: id, ...options, sync: { url, fetch: switched, ...sync } });
      tabs.push(store);
      return store;
    },
    close: async () => {
      await Promise.all(tabs.map((tab) => tab.close()));
    },
    async recorded() {
      const events = await all(atEdge.readAll());
      return events.map(({ actor, data }) => `${actor}: ${JSON.stringify(data)}`);
    },
  };
  return here;
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** The names of all databases that are there. */
export async function databaseNames(): Promise<string[]> {
  return (await indexedDB.databases()).flatMap(({ name }) => (name === undefined ? [] : [name])).sort();
}
