/** Deciders and projections that a hot reload has loaded anew, in development and in production. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Projection } from "../../../client/index.ts";
import { stock } from "../../support/stock.ts";

const counts: Projection<{ readonly count: number }> = {
  name: "counts",
  version: 1,
  evolve: (row) => ({ count: (row?.count ?? 0) + 1 }),
};
const fill = { type: "Fill", units: 1 } as const;
const warned = vi.spyOn(console, "warn");

beforeEach(() => {
  vi.resetModules();
  warned.mockReset().mockReturnValue();
});

afterEach(() => {
  vi.unstubAllEnvs();
});

async function openLocal(mode: "development" | "production") {
  vi.stubEnv("NODE_ENV", mode);
  const { openStore } = await import("../../../client/index.ts");
  return openStore({ name: crypto.randomUUID() });
}

test("in development, a decider that was loaded anew takes over, with a warning; the former one is refused from then on", async () => {
  const store = await openLocal("development");
  await store.handle("Stock-1", stock, fill);
  const anew = { ...stock, evolve: (state: typeof stock.initialState) => state } as typeof stock;
  expect(await store.handle("Stock-1", anew, fill)).toMatchObject({ state: { left: 0 }, version: 2 });
  await store.handle("Stock-1", anew, fill);
  expect(warned.mock.calls).toEqual([[expect.stringContaining("Another decider stock has taken over, as after a hot reload.")]]);
  await expect(store.handle("Stock-1", stock, fill)).rejects.toThrow("Two different deciders are named stock.");
  await store.close();
});

test("in development, a projection that was loaded anew takes over: its rows are built again, with the indexes that it has now", async () => {
  const store = await openLocal("development");
  await store.handle("Stock-1", stock, fill);
  const before = await store.project(counts);
  await before.caughtUp();
  const changed = await store.project({ ...counts, indexes: ["count"], evolve: () => ({ count: 7 }) });
  await changed.caughtUp();
  expect(await changed.query({ index: "count", equals: 7 })).toEqual([{ key: "Stock-1", row: { count: 7 } }]);
  await expect(before.query()).rejects.toThrow("Use the table of the latest `project` call.");
  expect(warned.mock.calls).toEqual([[expect.stringContaining("Another projection counts has taken over, as after a hot reload.")]]);
  await expect(store.project(counts)).rejects.toThrow("Two different projections are named counts and have version 1.");
  await store.close();
});

test("in production both are refused, and the message says what to do", async () => {
  const store = await openLocal("production");
  await store.handle("Stock-1", stock, fill);
  await store.project(counts);
  await expect(store.handle("Stock-1", { ...stock }, fill)).rejects.toThrow(
    "Two different deciders are named stock. Create each once, in a module, and rename one.",
  );
  await expect(store.project({ ...counts })).rejects.toThrow(
    "Two different projections are named counts and have version 1. Create each once, in a module, and rename one, or raise its version.",
  );
  expect(await store.readStream("Stock-1")).toMatchObject({ version: 1 });
  expect(warned).not.toHaveBeenCalled();
  await store.close();
});
