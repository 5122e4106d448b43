/** A `LiveValue` is a valid store for Svelte: Svelte's own functions accept it. */
import "fake-indexeddb/auto";
import { derived, get } from "svelte/store";
import { expect, test } from "vitest";
import { openStore } from "../../../client/index.ts";
import { LiveValue } from "../../../client/tools/live-value.ts";
import { eventually } from "../../support/eventually.ts";
import { stock } from "../../support/stock.ts";

test("get answers the value at once, and leaves nothing behind", () => {
  let working = 0;
  const live = new LiveValue("first", () => {
    working++;
    return () => working--;
  });
  expect([get(live), working]).toEqual(["first", 0]);
});

test("derived follows a stream's state", async () => {
  const store = await openStore({ name: crypto.randomUUID() });
  const left = derived(store.live("Stock-1", stock), ({ state, status }) => `${status} ${state.left}`);
  const seen: string[] = [];
  const off = left.subscribe((text) => seen.push(text));
  await eventually(() => expect(seen).toEqual(["loading 0", "ready 0"]));
  await store.handle("Stock-1", stock, { type: "Fill", units: 2 });
  await eventually(() => expect(seen).toEqual(["loading 0", "ready 0", "ready 2"]));
  off();
  await store.close();
});
