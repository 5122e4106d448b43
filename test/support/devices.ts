/** Devices of one store at a real edge. They sync only when a test calls it, so that each step happens where the test says so. */
import { expect } from "vitest";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import { openStore, type Store, type StoreOptions, type SyncOptions } from "../../client/index.ts";

export interface Devices {
  readonly url: string;
  readonly atEdge: EdgeStore;
  open(device: string, options?: Omit<Partial<StoreOptions>, "sync"> & { readonly sync?: Partial<SyncOptions> }): Promise<Store>;
  /** Closes all that were opened. */
  close(): Promise<void>;
}

export function devicesAt(edgeUrl: string): Devices {
  const id = crypto.randomUUID();
  const url = `${edgeUrl}/v1/${id}`;
  const opened: Store[] = [];
  return {
    url,
    atEdge: connectStore({ url }),
    async open(device, { sync, ...options } = {}) {
      const store = await openStore({ ...options, name: `${device}-${id}`, sync: { url, automatic: false, ...sync } });
      opened.push(store);
      return store;
    },
    close: async () => {
      await Promise.all(opened.map((store) => store.close()));
    },
  };
}

export const event = (data: unknown = null, type = "Noted") => ({ type, data });

/** What a stream holds, in order. */
export async function dataOf(store: Store | EdgeStore, streamId: string): Promise<unknown[]> {
  return (await store.readStream(streamId)).events.map(({ data }) => data);
}

/** The edge and all devices hold the same stream, each event once. */
export async function expectAgreement(streamId: string, atEdge: EdgeStore, ...devices: readonly Store[]): Promise<void> {
  const { events } = await atEdge.readStream(streamId);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const device of devices) expect((await device.readStream(streamId)).events).toEqual(events);
}
