/** Reading behind the end: what a device and a script over HTTP read there. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectStore, type EdgeStore, PositionAheadError } from "../../../client/http.ts";
import { type ConfirmedEvent, openStore, type Store } from "../../../client/index.ts";
import { type MemoryEdge, openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/routes/edge.ts";
import { stock } from "../../support/stock.ts";

const filled = { type: "Filled", data: { units: 1 } };

let edge: MemoryEdge;
let script: EdgeStore;
let device: Store;

beforeEach(async () => {
  edge = await openMemoryEdge(createEdge());
  script = connectStore({ url: "https://edge.example/v1/stocks", fetch: (input, init) => edge.fetch(input, init) });
  device = await openStore({ name: crypto.randomUUID() });
  for (const store of [script, device]) await store.appendToStream("Stock-1", [filled, filled]);
});

afterEach(async () => {
  await Promise.all([script.close(), device.close(), edge.close()]);
});

test("a tail can't begin there: the log is another one than the position is of", async () => {
  const reading = script.tail({ after: 3 }).next();
  await expect(reading).rejects.toBeInstanceOf(PositionAheadError);
  await expect(reading).rejects.toMatchObject({ details: { head: 2 } });
});

test("a subscription that begins there waits, and gets what comes after", async () => {
  const taken: number[] = [];
  const { promise, resolve } = Promise.withResolvers<ConfirmedEvent>();
  device.subscribe(
    (event) => {
      taken.push(event.position);
      if (event.position === 5) resolve(event);
    },
    { from: 3 },
  );
  for (let i = 0; i < 3; i++) await device.appendToStream("Stock-1", [filled]);
  await promise;
  expect(taken).toEqual([4, 5]);
});

test("a state up to there is that of all events", async () => {
  for (const upTo of [{ version: 1000 }, { position: 1000 }, { time: "9999-01-01T00:00:00Z" }]) {
    expect(await device.aggregateStream("Stock-1", stock, { upTo })).toMatchObject({ state: { left: 2 }, version: 2 });
  }
});
