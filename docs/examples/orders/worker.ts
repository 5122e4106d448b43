/**
 * A process over several streams: an order reserves its units on a shelf, and is confirmed, or cancelled if there are too few.
 *
 *     Order-1  OrderPlaced ──────────────────────────────────► OrderConfirmed, or OrderCancelled
 *                   └──► Shelf-9  StockReserved, or a refusal ──────┘        └──► Shelf-9  StockReleased
 */
import { CommandRefusedError, type ConfirmedEvent, createEdge, type EdgeEnv, type HandlerContext } from "headwater/edge";
import { type OrderEvent, order, type ShelfEvent, shelf } from "./deciders.ts";

type ShopEvent = ConfirmedEvent & (OrderEvent | ShelfEvent);

export async function placeOrders(events: readonly ConfirmedEvent[], _env: EdgeEnv, { handle }: HandlerContext): Promise<void> {
  for (const event of events as readonly ShopEvent[]) {
    const caused = { causedBy: event };
    switch (event.type) {
      case "OrderPlaced":
        try {
          const { units } = event.data;
          await handle(event.data.shelf, shelf, { type: "reserve", order: event.streamId, units }, caused);
        } catch (error) {
          if (!(error instanceof CommandRefusedError)) throw error;
          await handle(event.streamId, order, { type: "cancel", reason: error.message }, caused);
        }
        break;
      case "StockReserved":
        try {
          await handle(event.data.order, order, { type: "confirm" }, caused);
        } catch (error) {
          // The customer has cancelled meanwhile: what was reserved is given back.
          if (!(error instanceof CommandRefusedError)) throw error;
          await handle(event.streamId, shelf, { type: "release", order: event.data.order }, caused);
        }
        break;
      default: // nothing follows from the others
    }
  }
}

const edge = createEdge({
  deciders: { Order: order, Shelf: shelf },
  subscriptions: { orders: { category: ["Order", "Shelf"], handle: placeOrders } },
});

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
