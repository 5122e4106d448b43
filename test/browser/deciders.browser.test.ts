/** Deciders, snapshots and projections in a real browser: over its IndexedDB, its Web Locks, and a real edge. */
import { afterEach, expect, inject, test, vi } from "vitest";
import { connectStore } from "../../client/http.ts";
import { openStore, type Projection, type Store, type StoreOptions } from "../../client/index.ts";
import { beginningOf, fold } from "../../shared/decider/decider.ts";
import { foldRows } from "../../shared/device/projection.ts";
import { eventually } from "../support/eventually.ts";
import { type StockEvent, stock } from "../support/stock.ts";

const edge = inject("edgeUrl");
const opened: Store[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

async function open(options: StoreOptions): Promise<Store> {
  const store = await openStore(options);
  opened.push(store);
  return store;
}

/** Two devices that know of a stock of so many units, and sync when they are asked to: until then they are offline. */
async function stocked(units: number) {
  const id = crypto.randomUUID().slice(0, 8);
  const url = `${edge}/v1/deciders-${id}`;
  const device = (name: string) => open({ name: `${name}-${id}`, sync: { url, automatic: false }, deciders: [stock] });
  const [a, b] = [await device("A"), await device("B")];
  await a.handle("Stock-1", stock, { type: "Fill", units });
  await a.sync();
  await b.sync();
  return { a, b, atEdge: connectStore({ url }), openAgain: device };
}

const filled = (units: number): StockEvent => ({ type: "Filled", data: { units } });
const many = (count: number) => Array.from({ length: count }, () => filled(1));

test("two devices offline, each taking the last unit: one has it, the other's command is shown as refused, with its reason", async () => {
  const { a, b, atEdge } = await stocked(1);
  expect(await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 1 })).toMatchObject({ pending: true, state: { left: 0 } });
  expect(await b.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 1 })).toMatchObject({ pending: true, state: { left: 0 } });
  await Promise.all([a.sync(), b.sync()]);
  await Promise.all([a.sync(), b.sync()]);

  const { events } = await atEdge.readStream("Stock-1");
  expect(events.map(({ type }) => type)).toEqual(["Filled", "Taken"]);
  // They were at the edge at once: who was first is not said.
  const [won, lost] = a.status.conflicts === 0 ? (["ann", "bob"] as const) : (["bob", "ann"] as const);
  expect([a.status.conflicts, b.status.conflicts].sort()).toEqual([0, 1]);
  const [refused] = [...a.conflicts(), ...b.conflicts()];
  expect(refused?.command).toEqual({
    id: expect.any(String),
    decider: "stock",
    version: stock.version,
    data: { type: "Take", by: lost, wanted: 1 },
  });
  expect(refused?.reason).toContain(`The command was decided again and refused: ${lost} wants 1, and 0 are left`);
  for (const device of [a, b]) {
    const { state } = await device.aggregateStream("Stock-1", stock);
    expect(state).toEqual({ left: 0, takenBy: [won] });
    expect(device.status.pending).toBe(0);
  }
});

test("a reservation that can be decided again is, and nobody is asked", async () => {
  const { a, b, atEdge } = await stocked(5);
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 3 });
  await b.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 4, orFewer: true });
  await a.sync();
  await b.sync();
  await a.sync();
  const { events } = await atEdge.readStream("Stock-1");
  expect(events.map(({ data }) => data)).toEqual([{ units: 5 }, { units: 3, by: "ann" }, { units: 2, by: "bob" }]);
  for (const device of [a, b]) {
    expect(device.status).toMatchObject({ pending: 0, conflicts: 0 });
    expect((await device.aggregateStream("Stock-1", stock)).state).toEqual({ left: 0, takenBy: ["ann", "bob"] });
  }
});

test("a snapshot spares the events before it, is there in the next session, and says what a fold of all says", async () => {
  const { a, openAgain } = await stocked(1);
  for (let i = 0; i < 5; i++) await a.appendToStream("Stock-1", many(100));
  await a.sync();
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 2 });
  const evolve = vi.fn(stock.evolve);
  const counting = { ...stock, evolve };
  const { events } = await a.readStream("Stock-1");
  // What was read of the device are the events of a stock.
  const state = fold(stock, beginningOf(stock), events as unknown as StockEvent[], true);
  expect(state).toEqual({ left: 499, takenBy: ["ann"] });
  await eventually(async () => {
    evolve.mockClear();
    expect(await a.aggregateStream("Stock-1", counting)).toMatchObject({ state, version: 502, pending: 1 });
    expect(evolve).toHaveBeenCalledTimes(1);
  });
  await a.close();
  evolve.mockClear();
  const again = await openAgain("A");
  expect(await again.aggregateStream("Stock-1", counting)).toMatchObject({ state, version: 502, pending: 1 });
  expect(evolve).toHaveBeenCalledTimes(1);
});

interface Level {
  readonly left: number;
}
type LevelEvent = { readonly streamId: string } & StockEvent;
const levelsOf = (version: number, evolve: Projection<Level, LevelEvent>["evolve"]): Projection<Level, LevelEvent> => ({
  name: "levels",
  version,
  category: "Stock",
  indexes: ["left"],
  evolve,
});
const evolveLevel: Projection<Level, LevelEvent>["evolve"] = (row, { type, data }) => {
  const left = (row?.left ?? 0) + (type === "Filled" ? data.units : -data.units);
  return left === 0 ? undefined : { left };
};

/** Twenty shelves; some are emptied, and have no row then. */
async function fillShelves(store: Store): Promise<void> {
  for (let i = 1; i <= 20; i++) {
    await store.appendToStream(`Stock-${i}`, many(i));
    if (i % 5 === 0) await store.handle(`Stock-${i}`, stock, { type: "Take", by: "ann", wanted: i });
  }
  await store.appendToStream("Other-1", many(1));
}

/** The rows as a fold in memory of all that the device holds has them, in the order of their keys. */
async function folded(store: Store, projection: Projection<Level, LevelEvent>) {
  const events: LevelEvent[] = [];
  for await (const event of store.readAll({ category: "Stock" })) events.push(event as unknown as LevelEvent);
  const rows = [...foldRows<Level>(projection, new Map(), events, true)];
  return rows.flatMap(([key, row]) => (row === undefined ? [] : [{ key, row }])).sort((a, b) => (a.key < b.key ? -1 : 1));
}

test("rows equal a fold; built anew for a new version while the one before answers, and then the one before is gone", async () => {
  const name = crypto.randomUUID();
  const first = await open({ name });
  await fillShelves(first);
  const before = await first.project(levelsOf(1, evolveLevel));
  await before.caughtUp();
  const rows = await before.query();
  expect(rows).toHaveLength(16);
  expect(rows).toEqual(await folded(first, levelsOf(1, evolveLevel)));
  expect(await before.query({ index: "left", from: 18 })).toEqual([
    { key: "Stock-18", row: { left: 18 } },
    { key: "Stock-19", row: { left: 19 } },
  ]);
  await first.close();

  const store = await open({ name });
  let isHeld = true;
  const next = levelsOf(2, (row, event) => {
    if (isHeld) throw new Error("not yet");
    return { left: (row?.left ?? 0) + 1000 * event.data.units };
  });
  const table = await store.project(next);
  await eventually(() => expect(table.status.state).toBe("failed"));
  expect(await table.query()).toEqual(rows);
  isHeld = false;
  // It is tried again when the device holds something else.
  await store.appendToStream("Stock-21", many(1));
  await eventually(() => expect(table.status.state).toBe("ready"));
  expect(await table.query()).toEqual(await folded(store, next));
  await eventually(async () => {
    const databases = (await indexedDB.databases()).flatMap((database) => database.name ?? []);
    expect(databases.filter((database) => database.startsWith(`${name}/`))).toEqual([`${name}/levels@2`]);
  });
});

test("of two stores under one name one folds, and the other takes over when it is closed", async () => {
  const name = crypto.randomUUID();
  const one = await open({ name });
  await fillShelves(one);
  const folds = [vi.fn(evolveLevel), vi.fn(evolveLevel)] as const;
  const inOne = await one.project(levelsOf(1, folds[0]));
  await inOne.caughtUp();
  const other = await open({ name });
  const inOther = await other.project(levelsOf(1, folds[1]));
  await inOther.caughtUp();
  expect(folds[0]).toHaveBeenCalledTimes(214);

  // A query of a tab folds in memory what is not in the rows yet: none is made until they are in step.
  await one.appendToStream("Stock-1", many(50));
  await Promise.all([inOne.caughtUp(), inOther.caughtUp()]);
  await eventually(() => expect(inOther.status).toMatchObject({ state: "ready", position: 265, head: 265 }));
  expect(folds[0]).toHaveBeenCalledTimes(264);
  expect(folds[1]).not.toHaveBeenCalled();
  expect(await inOther.query()).toEqual(await inOne.query());
  expect(await inOther.get("Stock-1")).toEqual({ left: 51 });

  await one.close();
  await other.appendToStream("Stock-1", many(1));
  await inOther.caughtUp();
  expect(folds[1]).toHaveBeenCalledTimes(1);
  expect(await inOther.get("Stock-1")).toEqual({ left: 52 });
});
