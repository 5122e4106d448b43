/** Two devices of one store at an edge that fails when the test says so. */
import { expect } from "vitest";
import { connectStore } from "../../../client/http.ts";
import { openStore, type Store, type StoreOptions, type StreamEvent } from "../../../client/index.ts";

/** What happens to a request instead of its being sent and answered; undefined: nothing. */
type Fault = (request: Request, send: () => Promise<Response>) => Promise<Response> | undefined;

export class Network {
  fault: Fault | undefined;
  /** Every push that reached the edge or its fault. */
  readonly pushes: { commits: number }[] = [];

  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    if (request.method === "POST") this.pushes.push({ commits: (await request.clone().json()).commits.length });
    const send = () => fetch(request);
    return (await this.fault?.(request, send)) ?? send();
  };
}

export const isPush = (request: Request) => request.method === "POST";

/** Devices that sync when they are told to, so that each step of a story happens where it is told. */
export async function openTwoDevices(edgeUrl: string, options: Partial<StoreOptions> = {}) {
  const id = crypto.randomUUID();
  const url = `${edgeUrl}/v1/${id}`;
  const network = new Network();
  const a = await openStore({ ...options, name: `A-${id}`, sync: { url, automatic: false, fetch: network.fetch } });
  const b = await openStore({ name: `B-${id}`, sync: { url, automatic: false } });
  return { url, network, a, b, atEdge: connectStore({ url }), close: () => Promise.all([a.close(), b.close()]) };
}

export const event = (data: unknown = null, type = "Noted") => ({ type, data });
export const dataOf = async (store: { readStream(id: string): Promise<{ events: readonly StreamEvent[] }> }, streamId: string) =>
  (await store.readStream(streamId)).events.map(({ data }) => data);

export async function expectAgreement(
  streamId: string,
  atEdge: Awaited<ReturnType<typeof openTwoDevices>>["atEdge"],
  ...devices: Store[]
): Promise<void> {
  const { events } = await atEdge.readStream(streamId);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const device of devices) expect((await device.readStream(streamId)).events).toEqual(events);
}
