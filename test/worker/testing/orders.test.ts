/** The process of docs/examples/orders, cut off at each of its calls: nothing is taken twice, and nothing is left half done. */
import { expect, test } from "vitest";
import { order, shelf } from "../../../docs/examples/orders/deciders.ts";
import { placeOrders } from "../../../docs/examples/orders/worker.ts";
import type { CallFate } from "../../../worker/testing/clock.ts";
import { openEdge } from "./open-edge.ts";

type Cut = Exclude<CallFate, "ok"> | "kill";

const MINUTE = 60_000;

/** @param at the call at which it is cut off, from 1 @returns how many calls were made, and what each stream has */
async function run(at: number, cut: Cut) {
  const edge = await openEdge({
    deciders: { Order: order, Shelf: shelf },
    subscriptions: { orders: { category: ["Order", "Shelf"], handle: placeOrders } },
  });
  let calls = 0;
  edge.faults.call = () => {
    if (++calls !== at) return "ok";
    if (cut !== "kill") return cut;
    edge.platform.reset();
    return "lost-after";
  };
  /** Sent again until it is answered, with the same id. */
  const give = async (streamId: string, decider: { name: string; version: number }, data: object) => {
    const body = JSON.stringify({ id: crypto.randomUUID(), decider: decider.name, version: decider.version, data });
    for (let tries = 0; tries < 5; tries++) {
      const answer = edge.request(`/streams/${streamId}/commands`, { method: "POST", body });
      await edge.clock.advance(MINUTE);
      if ((await answer).status < 500) return;
    }
    throw new Error("never answered");
  };
  await give("Shelf-9", shelf, { type: "fill", units: 3 });
  await give("Order-1", order, { type: "place", shelf: "Shelf-9", units: 2 });
  await give("Order-2", order, { type: "place", shelf: "Shelf-9", units: 2 });
  for (let i = 0; i < 60; i++) await edge.clock.advance(MINUTE);
  const typesOf = async (streamId: string) => {
    const answer = edge.request(`/streams/${streamId}`);
    await edge.clock.advance(MINUTE);
    return (await answer).body.events.map(({ type, data }) => (type === "StockReserved" ? `${type} ${JSON.stringify(data)}` : type));
  };
  const made = calls;
  return { made, streams: { one: await typesOf("Order-1"), two: await typesOf("Order-2"), shelf: await typesOf("Shelf-9") } };
}

const WHOLE = {
  one: ["OrderPlaced", "OrderConfirmed"],
  two: ["OrderPlaced", "OrderCancelled"],
  shelf: ["StockFilled", 'StockReserved {"order":"Order-1","units":2}'],
};

test.each<Cut>(["lost-before", "lost-after", "overloaded", "kill"])(
  "cut off at any call (%s), it ends as if it had not been",
  async (cut) => {
    const { made, streams } = await run(0, cut);
    expect(streams).toEqual(WHOLE);
    expect(made).toBeGreaterThan(20);
    for (let at = 1; at <= made; at++) expect([at, (await run(at, cut)).streams]).toEqual([at, WHOLE]);
  },
);
