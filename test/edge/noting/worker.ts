/** An edge that decides the commands of every category that is fuzzed, and takes whatever JSON they are. */
import type { Decider } from "../../../client/index.ts";
import { createEdge } from "../../../worker/index.ts";

const noting: Decider<{ readonly notes: number }, unknown, { readonly type: "Noted"; readonly data: unknown }> = {
  name: "noting",
  version: 1,
  initialState: { notes: 0 },
  evolve: ({ notes }) => ({ notes: notes + 1 }),
  decide(command) {
    if (command === null) return [];
    if (command === false) throw new RangeError("Nothing can be noted.");
    return { type: "Noted", data: command };
  },
};

const edge = createEdge({ deciders: { Permit: noting, Ticket: noting, constructor: noting } });

export const { LogObject, StreamObject } = edge;

export default edge;
