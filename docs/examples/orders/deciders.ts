/** The rules of a shop: what may become of an order, and what may be taken from a shelf. Device and edge use the same. */
import type { Decider } from "headwater/edge";

export type OrderEvent =
  | { readonly type: "OrderPlaced"; readonly data: { readonly shelf: string; readonly units: number } }
  | { readonly type: "OrderConfirmed"; readonly data: null }
  | { readonly type: "OrderCancelled"; readonly data: { readonly reason: string } };

export type OrderCommand =
  | { readonly type: "place"; readonly shelf: string; readonly units: number }
  | { readonly type: "confirm" }
  | { readonly type: "cancel"; readonly reason: string };

export interface Order {
  readonly stage: "none" | "placed" | "confirmed" | "cancelled";
}

const STAGES = { OrderPlaced: "placed", OrderConfirmed: "confirmed", OrderCancelled: "cancelled" } as const;

export const order: Decider<Order, OrderCommand, OrderEvent> = {
  name: "order",
  version: 1,
  initialState: { stage: "none" },
  evolve: (state, { type }) => ({ stage: STAGES[type] ?? state.stage }),
  decide(command, { stage }) {
    switch (command.type) {
      case "place":
        if (stage !== "none") throw new Error("The order was placed already.");
        return { type: "OrderPlaced", data: { shelf: command.shelf, units: command.units } };
      case "confirm":
        if (stage === "cancelled") throw new Error("The order was cancelled.");
        return stage === "confirmed" ? [] : { type: "OrderConfirmed", data: null };
      case "cancel":
        if (stage === "confirmed") throw new Error("The order was confirmed.");
        return stage === "cancelled" ? [] : { type: "OrderCancelled", data: { reason: command.reason } };
    }
  },
};

export type ShelfEvent =
  | { readonly type: "StockFilled"; readonly data: { readonly units: number } }
  | { readonly type: "StockReserved"; readonly data: { readonly order: string; readonly units: number } }
  | { readonly type: "StockReleased"; readonly data: { readonly order: string } };

export type ShelfCommand =
  | { readonly type: "fill"; readonly units: number }
  | { readonly type: "reserve"; readonly order: string; readonly units: number }
  | { readonly type: "release"; readonly order: string };

export interface Shelf {
  readonly left: number;
  /** Units by order. */
  readonly reserved: { readonly [order: string]: number };
}

export const shelf: Decider<Shelf, ShelfCommand, ShelfEvent> = {
  name: "shelf",
  version: 1,
  initialState: { left: 0, reserved: {} },
  evolve({ left, reserved }, event) {
    switch (event.type) {
      case "StockFilled":
        return { left: left + event.data.units, reserved };
      case "StockReserved":
        return { left: left - event.data.units, reserved: { ...reserved, [event.data.order]: event.data.units } };
      case "StockReleased": {
        const { [event.data.order]: units = 0, ...others } = reserved;
        return { left: left + units, reserved: others };
      }
      default:
        return { left, reserved };
    }
  },
  decide(command, { left, reserved }) {
    switch (command.type) {
      case "fill":
        return { type: "StockFilled", data: { units: command.units } };
      case "reserve":
        // An order reserves once.
        if (command.order in reserved) return [];
        if (command.units > left) throw new Error(`Only ${left} are left.`);
        return { type: "StockReserved", data: { order: command.order, units: command.units } };
      case "release":
        return command.order in reserved ? { type: "StockReleased", data: { order: command.order } } : [];
    }
  },
};
