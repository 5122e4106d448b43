/** An app in two versions, whose commands have different forms. Its shelf gives as many units as there are. */

import type { Decider } from "../../shared/decider/decider.ts";
import { defineEventTypes } from "../../shared/event/event-types.ts";

export type ShelfEvent =
  | { readonly type: "Taken"; readonly data: { readonly units: number; readonly decidedBy: number } }
  | { readonly type: "Filled"; readonly data: number }
  /** To another place: the place alone in version 1. It changes nothing of what is left. */
  | { readonly type: "Moved"; readonly data: string | { readonly to: string } };
export interface ShelfState {
  readonly left: number;
}

const evolve = ({ left }: ShelfState, { type, data }: ShelfEvent): ShelfState => {
  if (type === "Moved") return { left };
  return { left: type === "Filled" ? left + data : left - data.units };
};

/** The command is a number. */
export const one: Decider<ShelfState, number, ShelfEvent> = {
  name: "shelf",
  version: 1,
  initialState: { left: 0 },
  evolve,
  decide: (wanted, { left }) => ({ type: "Taken", data: { units: Math.min(left, wanted), decidedBy: 1 } }),
};

/** The command is an object. */
export const two: Decider<ShelfState, { readonly wanted: number }, ShelfEvent> = {
  ...one,
  version: 2,
  decide: ({ wanted }, { left }) => ({ type: "Taken", data: { units: Math.min(left, wanted), decidedBy: 2 } }),
};

const TYPES = { Taken: { version: 1 }, Filled: { version: 1 } };

/** What version 2 registers. */
export const upcasting = () =>
  defineEventTypes(
    { ...TYPES, Moved: { version: 2, upcast: { 1: (to) => ({ to }) } } },
    { shelf: { version: 2, upcast: { 1: (wanted) => ({ wanted }) } } },
  );
/** What version 1 registers; or version 2, if the upcasters are forgotten. */
export const notUpcasting = () => defineEventTypes({ ...TYPES, Moved: { version: 1 } });
