/** A shelf with a stock: a decider that several kinds of tests use. */
import type { Decider } from "../../client/index.ts";

export interface Stock {
  readonly left: number;
  readonly takenBy: readonly string[];
}

export type StockCommand =
  | { readonly type: "Fill"; readonly units: number }
  /** `wanted` units, or as many as are left. */
  | { readonly type: "Take"; readonly by: string; readonly wanted: number; readonly orFewer?: boolean };

export type StockEvent =
  | { readonly type: "Filled"; readonly data: { readonly units: number } }
  | { readonly type: "Taken"; readonly data: { readonly units: number; readonly by: string } };

export const stock: Decider<Stock, StockCommand, StockEvent> = {
  name: "stock",
  version: 1,
  initialState: { left: 0, takenBy: [] },
  evolve(state, event) {
    switch (event.type) {
      case "Filled":
        return { ...state, left: state.left + event.data.units };
      case "Taken":
        return { left: state.left - event.data.units, takenBy: [...state.takenBy, event.data.by] };
      default:
        return state;
    }
  },
  decide(command, { left }) {
    if (command.type === "Fill") return command.units === 0 ? [] : { type: "Filled", data: { units: command.units } };
    const units = command.orFewer === true ? Math.min(command.wanted, left) : command.wanted;
    if (units === 0 || units > left) throw new Error(`${command.by} wants ${command.wanted}, and ${left} are left`);
    return { type: "Taken", data: { units, by: command.by } };
  },
};
