/** Deciders and projections that change what they get in place: their tests fail. */
import { expect, test } from "vitest";
import type { Decider, Projection } from "../../../client/index.ts";
import { given, givenProjection } from "../../../client/testing/index.ts";
import { ChangedInPlaceError } from "../../../shared/decider/frozen.ts";

type Filled = { readonly type: "Filled"; readonly data: string[] };

const cart = (change: (lines: string[], data: string[]) => unknown): Decider<{ lines: string[] }, "sort", Filled> => ({
  name: "cart",
  version: 1,
  initialState: () => ({ lines: [] }),
  evolve: ({ lines }, { data }) => ({ lines: change(lines, data) ? [...data] : lines }),
  decide: (_, { lines }) => ({ type: "Filled", data: lines.sort() }),
});

test.each([
  ["its state in decide", () => true, "decide"],
  ["its state in evolve", (lines: string[]) => lines.push("c"), "evolve"],
  ["an event in evolve", (_: string[], data: string[]) => data.sort(), "evolve"],
])("a decider that changes %s is found out, and the change is not taken for a refusal", (_, change, where) => {
  const filled: Filled = { type: "Filled", data: ["b", "a"] };
  const decided = () => given(cart(change), filled).when("sort");
  expect(decided).toThrow(ChangedInPlaceError);
  expect(decided).toThrow(`${where} of the decider cart changed what it got in place`);
  expect(filled.data).toEqual(["b", "a"]);
});

test("a projection that changes its row is found out", () => {
  const counts: Projection<{ count: number }> = {
    name: "counts",
    version: 1,
    evolve: (row) => (row === undefined ? { count: 1 } : Object.assign(row, { count: row.count + 1 })),
  };
  const event = { streamId: "Cart-1", type: "Filled", data: [] };
  givenProjection(counts, event).thenRows({ "Cart-1": { count: 1 } });
  expect(() => givenProjection(counts, event, event).thenRows({ "Cart-1": { count: 2 } })).toThrow(
    "evolve of the projection counts changed what it got in place",
  );
});
