/** Live states of streams whose history is replaced. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { Aggregates } from "../../../client/streams/aggregates.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { stock } from "../../support/stock.ts";

const { anotherStore, devices } = edgeDevices();
afterEach(() => {
  vi.restoreAllMocks();
});

test("another history of the same length is another state, although no state between the two was read", async () => {
  const other = anotherStore();
  let isReplaced = false;
  const redirected: typeof fetch = (input, init) => {
    const request = new Request(input, init);
    return fetch(isReplaced ? new Request(request.url.replace(devices.url, other.url), request) : request);
  };
  const a = await devices.open("A", { sync: { fetch: redirected } });
  await devices.atEdge.appendToStream("Stock-1", [{ type: "Filled", data: { units: 5 } }]);
  await other.atEdge.appendToStream("Stock-1", [{ type: "Filled", data: { units: 7 } }]);
  await a.sync();
  const live = a.live("Stock-1", stock);
  const off = live.subscribe(() => undefined);
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 5 }, version: 1 }));
  // The next read comes when the device holds the other history.
  const { promise: replaced, resolve: goOn } = Promise.withResolvers<void>();
  const { readFrom } = Aggregates.prototype;
  const reads = vi.spyOn(Aggregates.prototype, "readFrom").mockImplementation(async function (this: Aggregates, ...given) {
    await replaced;
    return readFrom.apply(this, given) as never;
  });
  isReplaced = true;
  await a.reset();
  await eventually(() => expect(reads).toHaveBeenCalledTimes(1));
  await a.sync();
  goOn();
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 7 }, version: 1 }));
  off();
  await other.close();
});
