/** A shelf, of which nobody may take more than there is. */
import type { Decider } from "../../client/index.ts";

export type StockEvent =
  | { readonly type: "StockFilled"; readonly data: { readonly units: number } }
  | { readonly type: "StockTaken"; readonly data: { readonly units: number; readonly by: string | null } };

export type StockCommand = { readonly fill: number } | { readonly take: number };

export class OutOfStock extends Error {
  override readonly name = "OutOfStock";
  readonly data: { readonly left: number };

  constructor(left: number) {
    super(`Only ${left} are left.`);
    this.data = { left };
  }
}

export const stock: Decider<{ readonly left: number }, StockCommand, StockEvent> = {
  name: "stock",
  version: 1,
  initialState: { left: 0 },
  evolve({ left }, event) {
    if (event.type === "StockFilled") return { left: left + event.data.units };
    if (event.type === "StockTaken") return { left: left - event.data.units };
    return { left };
  },
  decide(command, { left }, { actor }) {
    if ("fill" in command) return { type: "StockFilled", data: { units: command.fill } };
    if (command.take > left) throw new OutOfStock(left);
    return command.take === 0 ? [] : { type: "StockTaken", data: { units: command.take, by: actor } };
  },
};
