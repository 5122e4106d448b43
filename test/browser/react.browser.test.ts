/** The hooks of `headwater/react`, rendered by React in a real browser over a real store. */
// biome-ignore-all lint/correctness/noComponentHookFactories: a test makes its component once, around a store of its own
import { createElement, type ReactNode, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, expect, inject, test, vi } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type LiveValue, openStore, type Projection, type RowQuery, type Store, type StoreOptions } from "../../client/index.ts";
import { useLive, useRows, useStreamState } from "../../client/react.ts";
import { LiveValue as OwnValue } from "../../client/tools/live-value.ts";
import { eventually } from "../support/eventually.ts";
import { type StockEvent, stock } from "../support/stock.ts";

const edge = inject("edgeUrl");
const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function open(options: Omit<StoreOptions, "name"> = {}): Promise<Store> {
  const store = await openStore({ name: crypto.randomUUID(), ...options });
  endings.push(() => store.close());
  return store;
}

function mount(node: ReactNode): { root: Root; element: HTMLElement; text: () => string | null } {
  const element = document.body.appendChild(document.createElement("div"));
  const root = createRoot(element);
  endings.push(() => {
    root.unmount();
    element.remove();
  });
  root.render(node);
  return { root, element, text: () => element.textContent };
}

const filled = (units: number): StockEvent => ({ type: "Filled", data: { units } });
const hundred = Array.from({ length: 100 }, () => filled(1));

/** Counts its renders, and what of them is committed to the page. */
function shelfOf(store: Pick<Store, "live">, decider = stock) {
  const renders: string[] = [];
  const Shelf = ({ id }: { readonly id: string }) => {
    // Written anew in each render, as one that closes over props would be.
    const { state, status, version, pending } = useStreamState(store, id, { ...decider });
    const text = `${id} ${status} ${state.left} v${version} p${pending}`;
    renders.push(text);
    return createElement("p", null, text);
  };
  return { Shelf, renders };
}

interface Level {
  readonly left: number;
  readonly size: "small" | "large";
}
const levels: Projection<Level, { readonly streamId: string } & StockEvent> = {
  name: "levels",
  version: 1,
  category: "Stock",
  indexes: ["left", "size"],
  evolve(row, event) {
    const left = (row?.left ?? 0) + (event.type === "Filled" ? event.data.units : -event.data.units);
    return { left, size: left < 10 ? "small" : "large" };
  },
};

test("a stream's state is rendered, and a page of 100 events renders once more, not once for each event", async () => {
  const url = `${edge}/v1/react-${crypto.randomUUID().slice(0, 8)}`;
  const store = await open({ sync: { url, automatic: false } });
  const { Shelf, renders } = shelfOf(store);
  const { text } = mount(createElement(Shelf, { id: "Stock-1" }));
  await eventually(() => expect(text()).toBe("Stock-1 ready 0 v0 p0"));
  const before = renders.length;
  await connectStore({ url }).appendToStream("Stock-1", hundred);
  await store.sync();
  await eventually(() => expect(text()).toBe("Stock-1 ready 100 v100 p0"));
  expect(renders.slice(before)).toEqual(["Stock-1 ready 100 v100 p0"]);
});

test("rows are rendered, with the query written in the render, and 100 events render once more", async () => {
  const store = await open();
  const table = await store.project(levels);
  const lives = vi.spyOn(table, "live");
  const renders: string[] = [];
  const Levels = ({ size }: { readonly size: Level["size"] }) => {
    const { rows, status } = useRows(table, { index: "size", equals: size });
    renders.push(`${status} ${rows.map(({ key, row }) => `${key}:${row.left}`).join()}`);
    return createElement("p", null, renders.at(-1));
  };
  const { root, text } = mount(createElement(Levels, { size: "large" }));
  await eventually(() => expect(text()).toBe("ready "));
  const before = renders.length;
  await store.appendToStream("Stock-1", hundred);
  await eventually(() => expect(text()).toBe("ready Stock-1:100"));
  await table.caughtUp();
  expect(renders.slice(before)).toEqual(["ready Stock-1:100"]);
  expect(lives).toHaveBeenCalledTimes(1);
  root.render(createElement(Levels, { size: "small" }));
  await eventually(() => expect(text()).toBe("ready "));
  expect(renders.slice(before + 1)).toEqual(["loading ", "ready "]);
  expect(lives).toHaveBeenCalledTimes(2);
});

test("queries that differ in a bound alone are two", async () => {
  const store = await open();
  const table = await store.project(levels);
  await store.appendToStream("Stock-1", [filled(5)]);
  const Levels = ({ query }: { readonly query: RowQuery<keyof Level> }) => {
    const { rows, status } = useRows(table, query);
    return createElement("p", null, `${status} ${rows.length}`);
  };
  const { root, text } = mount(createElement(Levels, { query: { index: "left", from: Number.NEGATIVE_INFINITY } }));
  await eventually(() => expect(text()).toBe("ready 1"));
  root.render(createElement(Levels, { query: { index: "left", from: Number.POSITIVE_INFINITY } }));
  await eventually(() => expect(text()).toBe("ready 0"));
});

test("a pending append is on the screen without an edge", async () => {
  const store = await open({ sync: { url: "http://127.0.0.1:9/v1/offline", automatic: false } });
  const { Shelf } = shelfOf(store);
  const { text } = mount(createElement(Shelf, { id: "Stock-1" }));
  await eventually(() => expect(text()).toBe("Stock-1 ready 0 v0 p0"));
  await store.handle("Stock-1", stock, { type: "Fill", units: 7 });
  await eventually(() => expect(text()).toBe("Stock-1 ready 7 v1 p1"));
});

test("another stream is shown as loading, never with the state of the one before", async () => {
  const store = await open();
  await store.appendToStream("Stock-1", [filled(1)]);
  await store.appendToStream("Stock-2", [filled(2)]);
  const { Shelf, renders } = shelfOf(store);
  const { root, text } = mount(createElement(Shelf, { id: "Stock-1" }));
  await eventually(() => expect(text()).toBe("Stock-1 ready 1 v1 p0"));
  root.render(createElement(Shelf, { id: "Stock-2" }));
  await eventually(() => expect(text()).toBe("Stock-2 ready 2 v1 p0"));
  expect(renders.filter((line) => line.startsWith("Stock-2"))).toEqual(["Stock-2 loading 0 v0 p0", "Stock-2 ready 2 v1 p0"]);
  const before = renders.length;
  await store.appendToStream("Stock-1", [filled(1)]);
  await store.appendToStream("Stock-2", [filled(1)]);
  await eventually(() => expect(text()).toBe("Stock-2 ready 3 v2 p0"));
  expect(renders.slice(before)).toEqual(["Stock-2 ready 3 v2 p0"]);
});

/** How many work: each begins with its first listener, and ends with its last. */
function counted<T>(initial: T) {
  const works = new Set<(value: T) => void>();
  const live: LiveValue<T> = new OwnValue<T>(initial, (set) => {
    works.add(set);
    return () => works.delete(set);
  });
  return { live, works };
}

test.each([
  ["as it is", (node: ReactNode) => node],
  ["in StrictMode", (node: ReactNode) => createElement(StrictMode, null, node)],
])("a value is let go of when its component is gone: %s", async (_, wrapped) => {
  const { live, works } = counted("one");
  const Value = () => createElement("b", null, useLive(live));
  const { root, text } = mount(wrapped([createElement(Value, { key: 1 }), createElement(Value, { key: 2 })]));
  await eventually(() => expect([text(), works.size]).toEqual(["oneone", 1]));
  for (const set of works) set("two");
  await eventually(() => expect(text()).toBe("twotwo"));
  root.render(wrapped([createElement(Value, { key: 1 })]));
  await eventually(() => expect([text(), works.size]).toEqual(["two", 1]));
  root.unmount();
  await eventually(() => expect(works.size).toBe(0));
});

test("in StrictMode a stream is followed; after the component is gone nothing is folded for it", async () => {
  const store = await open();
  const evolve = vi.fn(stock.evolve);
  const { Shelf } = shelfOf(store, { ...stock, evolve });
  const { root, text, element } = mount(createElement(StrictMode, null, createElement(Shelf, { id: "Stock-1" })));
  await eventually(() => expect(text()).toBe("Stock-1 ready 0 v0 p0"));
  await store.appendToStream("Stock-1", [filled(3)]);
  await eventually(() => expect(text()).toBe("Stock-1 ready 3 v1 p0"));
  root.unmount();
  await eventually(() => expect(element.childNodes).toHaveLength(0));
  evolve.mockClear();
  // Another one that follows the same stream has heard of it: whoever else listened would have, too.
  const other = store.live("Stock-1", stock);
  endings.push(other.subscribe(() => undefined));
  await store.appendToStream("Stock-1", [filled(1)]);
  await eventually(() => expect(other.getSnapshot()).toMatchObject({ version: 2 }));
  expect(evolve).not.toHaveBeenCalled();
});
