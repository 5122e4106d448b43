/** Deciders that change their state in place, on a device. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { type Decider, openStore } from "../../../client/index.ts";

interface Cart {
  readonly lines: string[];
}
type Added = { readonly type: "Added"; readonly data: string };

const carts = (initialState: Cart | (() => Cart), evolve: Decider<Cart, string, Added>["evolve"]): Decider<Cart, string, Added> => ({
  name: "carts",
  version: 1,
  initialState,
  evolve,
  decide: (data) => ({ type: "Added", data }),
});

test.each([
  ["an object", { lines: [] }],
  ["a function", () => ({ lines: [] })],
])("with %s as its initial state, it is refused, nothing is recorded, and no stream sees another's state", async (_, initialState) => {
  const store = await openStore({ name: crypto.randomUUID() });
  const decider = carts(initialState, (state, { data }) => {
    state.lines.push(data);
    return state;
  });
  await expect(store.handle("Cart-1", decider, "pen")).rejects.toThrow(/^evolve of the decider carts changed what it got in place/);
  await expect(store.readStream("Cart-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await store.appendToStream("Cart-1", [{ type: "Added", data: "pen" }]);
  await expect(store.aggregateStream("Cart-1", decider)).rejects.toThrow(/^evolve of the decider carts/);
  expect(await store.aggregateStream("Cart-2", decider)).toEqual({ streamId: "Cart-2", state: { lines: [] }, version: 0, pending: 0 });
  expect(store.live("Cart-3", decider).getSnapshot().state).toEqual({ lines: [] });
  await store.close();
});

test("an initial state may be a function", async () => {
  const store = await openStore({ name: crypto.randomUUID() });
  const decider = carts(
    () => ({ lines: [] }),
    (state, { data }) => ({ lines: [...state.lines, data] }),
  );
  await store.handle("Cart-1", decider, "pen");
  expect(await store.handle("Cart-1", decider, "ink")).toMatchObject({ state: { lines: ["pen", "ink"] }, version: 2 });
  expect((await store.aggregateStream("Cart-1", decider)).state).toEqual({ lines: ["pen", "ink"] });
  expect((await store.aggregateStream("Cart-2", decider)).state).toEqual({ lines: [] });
  await store.close();
});
