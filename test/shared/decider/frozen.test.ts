/** States that an app's functions can't change in place, and the error if one tries. */
import { expect, test } from "vitest";
import { beginningOf, decideCommand, fold } from "../../../shared/decider/decider.ts";
import { ChangedInPlaceError, frozen } from "../../../shared/decider/frozen.ts";
import { foldRows } from "../../../shared/device/projection.ts";

const CONTEXT = { actor: null, occurredAt: "2026-01-31T09:30:00.000Z", commandId: "00000000-0000-4000-8000-000000000001" };

interface Cart {
  count?: number;
  lines: { id: number }[];
  seen: Set<number>;
  prices: Map<string, { amount: number }>;
}

const empty = (): Cart => ({ count: 0, lines: [{ id: 1 }, { id: 2 }], seen: new Set([1]), prices: new Map([["a", { amount: 1 }]]) });
const cartOf = (change: (cart: Cart) => unknown, initialState: Cart | (() => Cart) = empty()) => ({
  name: "cart",
  version: 1,
  initialState,
  evolve(state: Cart) {
    change(state);
    return state;
  },
  decide(_command: unknown, state: Cart) {
    change(state);
    return [];
  },
});

const CHANGES: [what: string, change: (cart: Cart) => unknown][] = [
  ["a field is assigned", (cart) => Object.assign(cart, { count: 2 })],
  ["a field is added", (cart) => Object.assign(cart, { more: 2 })],
  ["a field is deleted", (cart) => delete cart.count],
  ["an array is pushed to", (cart) => cart.lines.push({ id: 2 })],
  ["an array is turned round", (cart) => cart.lines.reverse()],
  ["a nested field is assigned", (cart) => Object.assign(cart.lines[0] ?? {}, { id: 7 })],
  ["a Set is added to", (cart) => cart.seen.add(2)],
  ["a Set is cleared", (cart) => cart.seen.clear()],
  ["a Map is set", (cart) => cart.prices.set("b", { amount: 2 })],
  ["a key of a Map is deleted", (cart) => cart.prices.delete("a")],
  ["a value of a Map is assigned", (cart) => Object.assign(cart.prices.get("a") ?? {}, { amount: 2 })],
];

test.each(CHANGES)("%s: an error names the decider, and the initial state stays as it is, in production too", (_, change) => {
  for (const freezes of [true, false]) {
    for (const decider of [cartOf(change), cartOf(change, empty)]) {
      expect(() => fold(decider, beginningOf(decider), [1], freezes)).toThrow(ChangedInPlaceError);
      expect(() => fold(decider, beginningOf(decider), [1], freezes)).toThrow(/^evolve of the decider cart changed what it got in place/);
      expect(() => decideCommand(decider, null, beginningOf(decider), CONTEXT)).toThrow(
        /^decide of the decider cart changed what it got in place/,
      );
      expect(beginningOf(decider)).toEqual(empty());
    }
  }
});

test("in development every state is frozen: the one to begin with, the ones between, and the result", () => {
  const fresh = (state: Cart): Cart => ({ ...state, lines: [...state.lines, { id: state.lines.length + 1 }] });
  const decider = { name: "cart", evolve: (state: Cart, event: string) => (event === "add" ? fresh(state) : cartOf(push).evolve(state)) };
  const push = (cart: Cart) => cart.lines.push({ id: 9 });
  expect(() => fold(decider, empty(), ["push"], true)).toThrow(ChangedInPlaceError);
  expect(() => fold(decider, empty(), ["add", "push"], true)).toThrow(ChangedInPlaceError);
  expect(() => push(fold(decider, empty(), ["add"], true))).toThrow(TypeError);
  expect(fold(decider, empty(), ["add", "push"], false).lines.map(({ id }) => id)).toEqual([1, 2, 3, 9]);
});

test("an initial state may be a function, and each fold gets a new one", () => {
  const decider = { initialState: empty };
  expect(beginningOf(decider)).toEqual(empty());
  expect(beginningOf(decider)).not.toBe(beginningOf(decider));
});

test("an error of the app stays that error", () => {
  const wrong = cartOf((cart) => (cart as unknown as { none: { at: number } }).none.at);
  expect(() => fold(wrong, beginningOf(wrong), [1], true)).toThrow(/reading 'at'/);
  const refusing = cartOf(() => {
    throw new TypeError("not a cart");
  });
  expect(() => decideCommand(refusing, null, beginningOf(refusing), CONTEXT)).toThrow(new TypeError("not a cart"));
  // A state with a function can't be cloned, so what is wrong can't be found out.
  const unclonable = {
    ...cartOf(() => undefined),
    initialState: { count: 0, more: () => 0 },
    evolve: (state: object) => Object.assign(state, { count: 1 }),
  };
  expect(() => fold(unclonable, beginningOf(unclonable), [1], true)).toThrow(/read only property 'count'/);
});

test("a refusal that comes after a change in place is a change in place", () => {
  const decider = {
    name: "cart",
    decide(_: unknown, state: Cart) {
      state.lines.push({ id: 2 });
      throw new Error("The cart is full.");
    },
  };
  expect(() => decideCommand(decider, null, frozen(empty()), CONTEXT)).toThrow(ChangedInPlaceError);
});

test("what contains itself is frozen, a Date and a typed array are left as they are, and a clone is free again", () => {
  const state: Record<string, unknown> = { at: new Date(0), bytes: new Uint8Array([1]), prices: new Map([["a", 1]]) };
  state["self"] = state;
  expect(Object.isFrozen(frozen(state))).toBe(true);
  const clone = structuredClone(state);
  (clone["prices"] as Map<string, number>).set("b", 2);
  expect(clone["prices"]).toEqual(new Map(Object.entries({ a: 1, b: 2 })));
});

test("a row that a projection changes in place", () => {
  const evolve = (row: { count: number } | undefined) => (row === undefined ? { count: 1 } : Object.assign(row, { count: row.count + 1 }));
  const projection = { name: "counts", version: 1, evolve };
  const events = [{ streamId: "A-1" }, { streamId: "A-1" }];
  expect(() => foldRows(projection, new Map(), events, true)).toThrow(/^evolve of the projection counts changed what it got in place/);
  expect(foldRows(projection, new Map(), events, false)).toEqual(new Map([["A-1", { count: 2 }]]));
  const [[, row] = []] = foldRows(projection, new Map(), events.slice(1), true);
  expect(Object.isFrozen(row)).toBe(false);
});
