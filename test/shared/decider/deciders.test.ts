/** Deciders as an app hands them over: what is wrong with one is named. */
import { expect, test } from "vitest";
import type { AnyDecider } from "../../../shared/decider/decider.ts";
import { decidersByName } from "../../../shared/decider/deciders.ts";

const counter: AnyDecider = { name: "counter", version: 1, initialState: 0, evolve: (state) => state + 1, decide: () => [] };
/** As JavaScript calls it. */
const given = (...deciders: readonly unknown[]) => decidersByName(deciders.map((decider, i) => [`deciders[${i}]`, decider as AnyDecider]));

test("deciders are known by their names, and one may be given twice", () => {
  const other = { ...counter, name: "other" };
  expect([...given(counter, other, counter)]).toEqual([
    ["counter", counter],
    ["other", other],
  ]);
});

test("an instance of a class is a decider, whatever else it has", () => {
  class Counter {
    readonly name = "counter";
    readonly version = 2;
    readonly initialState = 0;
    evolve = (state: number) => state + 1;
    decide() {
      return [];
    }
    more = "anything";
  }
  expect(given(new Counter()).get("counter")?.version).toBe(2);
});

test.each<[wrong: unknown, field: string, message: string]>([
  [null, "deciders[1]", "deciders[1] must be a decider."],
  ["counter", "deciders[1]", "deciders[1] must be a decider."],
  [{ ...counter, name: "" }, "deciders[1].name", "deciders[1].name must be 1 to 255 printable characters."],
  [{ ...counter, name: "a\nb" }, "deciders[1].name", "deciders[1].name must be 1 to 255 printable characters."],
  [{ ...counter, version: 0 }, "deciders[1].version", "deciders[1].version must be a whole number from 1."],
  [{ ...counter, version: "1" }, "deciders[1].version", "deciders[1].version must be a whole number from 1."],
  [{ ...counter, evolve: undefined }, "deciders[1].evolve", "deciders[1].evolve must be a function."],
  [{ ...counter, decide: {} }, "deciders[1].decide", "deciders[1].decide must be a function."],
  [{ ...counter }, "deciders[1].name", "deciders[1]: two different deciders are named counter. Rename one."],
])("%o is refused as %s", (wrong, field, message) => {
  expect(() => given(counter, wrong)).toThrow(expect.objectContaining({ code: "invalid-request", field, message }));
});
