/** The decider of the worlds' apps: a shelf that is filled and taken from. Each command has a key, by which its events are known. */
import type { Decider } from "../../../client/index.ts";

export interface Stock {
  readonly left: number;
}

export type StockCommand =
  | { readonly type: "Fill"; readonly key: string; readonly units: number }
  /** `wanted` units, or as many as are left. */
  | { readonly type: "Take"; readonly key: string; readonly wanted: number; readonly orFewer: boolean };

export type StockEvent =
  | { readonly type: "Filled"; readonly data: { readonly key: string; readonly units: number } }
  | { readonly type: "Taken"; readonly data: { readonly key: string; readonly units: number } };

export const SHELF = "Stock-1";

/** Thrown by `decide`: the shelf has not enough. */
export class NotEnough extends Error {}

/**
 * @param onDecided called with the key of a command that came to something
 * @param onRefused called with the key of a command that is refused
 */
export function stockDecider(
  onDecided: (key: string) => void,
  onRefused: (key: string) => void = () => undefined,
): Decider<Stock, StockCommand, StockEvent> {
  return {
    name: "stock",
    version: 1,
    initialState: { left: 0 },
    evolve(state, event) {
      switch (event.type) {
        case "Filled":
          return { left: state.left + event.data.units };
        case "Taken":
          return { left: state.left - event.data.units };
        default:
          return state;
      }
    },
    decide(command, { left }) {
      const { key } = command;
      if (command.type === "Fill") {
        onDecided(key);
        return { type: "Filled", data: { key, units: command.units } };
      }
      const units = command.orFewer ? Math.min(command.wanted, left) : command.wanted;
      if (units === 0 || units > left) {
        onRefused(key);
        throw new NotEnough(`${key} wants ${command.wanted}, and ${left} are left`);
      }
      onDecided(key);
      return { type: "Taken", data: { key, units } };
    },
  };
}
