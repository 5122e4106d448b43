/**
 * The decider of the worlds' apps, in two versions of the app: a shelf that is filled and taken from. Each command has a key, by which its
 * events are known. The second version has commands and a state of another form.
 */
import type { CommandDefinitions, Decider } from "../../../client/index.ts";

export type AppVersion = 1 | 2;

/** `left` in version 1. Version 2 counts both ways. */
export type Stock = { readonly left: number } | { readonly filled: number; readonly taken: number };

export type StockCommand = FirstCommand | SecondCommand;

type FirstCommand =
  | { readonly type: "Fill"; readonly key: string; readonly units: number }
  /** `wanted` units, or as many as are left. */
  | { readonly type: "Take"; readonly key: string; readonly wanted: number; readonly orFewer: boolean };

type SecondCommand = {
  readonly key: string;
  /** Units to fill, or less than zero to take. */
  readonly change: number;
  /** As many as are left will do. */
  readonly orFewer: boolean;
};

export type StockEvent =
  | { readonly type: "Filled"; readonly data: { readonly key: string; readonly units: number } }
  | { readonly type: "Taken"; readonly data: { readonly key: string; readonly units: number } };

export type StockDecider = Decider<Stock, StockCommand, StockEvent>;

export const SHELF = "Stock-1";

/** Thrown by `decide`: the shelf has not enough. */
export class NotEnough extends Error {}

/** What a world sees of its deciders. */
export interface StockWitness {
  /** `decide` is called, with a command of this version's form. */
  onDecide?(key: string, version: AppVersion, form: AppVersion): void;
  /** The command came to something. */
  onDecided?(key: string): void;
  onRefused?(key: string): void;
}

export function stockDecider({ onDecide, onDecided, onRefused }: StockWitness = {}, version: AppVersion = 1): StockDecider {
  return {
    name: "stock",
    version,
    initialState: version === 1 ? { left: 0 } : { filled: 0, taken: 0 },
    evolve(state, { type, data }) {
      if (type !== "Filled" && type !== "Taken") return state;
      const { units } = data;
      const isFilled = type === "Filled";
      if (version === 1) return { left: leftIn(state, version) + (isFilled ? units : -units) };
      const { filled, taken } = "filled" in state ? state : UNREADABLE;
      return isFilled ? { filled: filled + units, taken } : { filled, taken: taken + units };
    },
    decide(command, state) {
      const { key } = command;
      onDecide?.(key, version, "change" in command ? 2 : 1);
      const { change, orFewer } = "change" in command ? command : inSecondForm(command);
      if (change > 0 || (change === 0 && !orFewer)) {
        onDecided?.(key);
        return { type: "Filled", data: { key, units: change } };
      }
      const left = leftIn(state, version);
      const units = orFewer ? Math.min(-change, left) : -change;
      if (units === 0 || units > left) {
        onRefused?.(key);
        throw new NotEnough(`${key} wants ${-change}, and ${left} are left`);
      }
      onDecided?.(key);
      return { type: "Taken", data: { key, units } };
    },
  };
}

/** A command as a version of the app gives it. */
export function commandFor(version: AppVersion, command: FirstCommand): StockCommand {
  return version === 1 ? command : inSecondForm(command);
}

/** Of the commands, as a version of the app knows them. */
export function commandsOf(version: AppVersion): CommandDefinitions {
  return { stock: version === 1 ? { version } : { version, upcast: { 1: (data) => inSecondForm(data as FirstCommand) } } };
}

function inSecondForm(command: FirstCommand): SecondCommand {
  const { key } = command;
  return command.type === "Fill"
    ? { key, change: command.units, orFewer: false }
    : { key, change: -command.wanted, orFewer: command.orFewer };
}

/** What code makes of the state of another version. */
const UNREADABLE = { filled: Number.NaN, taken: Number.NaN };

function leftIn(state: Stock, version: AppVersion): number {
  if (version === 1) return "left" in state ? state.left : Number.NaN;
  const { filled, taken } = "filled" in state ? state : UNREADABLE;
  return filled - taken;
}
