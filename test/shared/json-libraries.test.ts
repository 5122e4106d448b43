/** The objects of libraries that observe or draft state, handed over as data: what is plain to the app is copied. */
import { reactive, ref, shallowReactive } from "@vue/reactivity";
import { createDraft, finishDraft } from "immer";
import { makeAutoObservable, observable } from "mobx";
import { proxy, snapshot } from "valtio/vanilla";
import { expect, test } from "vitest";
import { InvalidRequestError } from "../../shared/errors.ts";
import { copyJson } from "../../shared/json.ts";

// Node would get the build for servers, which observes nothing.
const { createMutable, createStore }: typeof import("solid-js/store") = await import("solid-js/store/dist/store.js" as string);

const permit = () => ({ kind: "building", places: [{ street: "Weg 1", area: { size: 20 } }], empty: null });

test.each<[library: string, make: () => unknown]>([
  ["MobX", () => observable(permit())],
  ["MobX, without proxies inside", () => observable(permit(), {}, { deep: false })],
  ["Solid, a store", () => createStore(permit())[0]],
  ["Solid, a mutable", () => createMutable(permit())],
  ["Vue", () => reactive(permit())],
  ["Immer, a draft", () => createDraft(permit())],
  ["Immer, a frozen result", () => finishDraft(createDraft(permit()))],
  ["Valtio", () => proxy(permit())],
  ["Valtio, a snapshot", () => snapshot(proxy(permit()))],
])("%s: a plain object is copied, and the copy is plain", (_library, make) => {
  const made = make();
  // Reading makes the libraries attach what they observe with.
  JSON.stringify(made);
  const { value } = copyJson(made, "data", 9);
  expect(value).toEqual(permit());
  expect(structuredClone(value)).toEqual(permit());
});

class Permit {
  kind = "building";
  constructor() {
    makeAutoObservable(this);
  }
}

test.each<[library: string, value: unknown, message: string]>([
  ["MobX, a map", observable(new Map([["a", 1]])), "data.x is a Map, which JSON can't represent. Use `Object.fromEntries()`."],
  ["MobX, a set", observable(new Set([1])), "data.x is a Set, which JSON can't represent. Use `Array.from()`."],
  ["MobX, a class", new Permit(), "data.x is an instance of Permit, which JSON can't represent. Use a plain object with its fields."],
  ["Vue, a map", reactive(new Map()), "data.x is a Map, which JSON can't represent. Use `Object.fromEntries()`."],
  ["Vue, a ref", ref(1), "data.x is an instance of RefImpl, which JSON can't represent. Use a plain object with its fields."],
])("%s is refused by its name", (_library, x, message) => {
  expect(() => copyJson(shallowReactive({ x }), "data", 9)).toThrow(InvalidRequestError);
  expect(() => copyJson({ x }, "data", 9)).toThrow(message);
});

test("a draft that Immer has ended is refused with its place", () => {
  const draft = createDraft({ places: [{ street: "Weg 1" }] });
  const [place] = draft.places;
  finishDraft(draft);
  expect(() => copyJson([place], "data", 9)).toThrow(/^data\[0\] can't be read: .*revoked/);
});
