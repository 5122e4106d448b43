/** Deciders on a device: folding, deciding, and deciding again if another tab or another device was first. */
import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { openStore, type Store } from "../../../client/index.ts";
import { event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { type Stock, type StockEvent, stock } from "../../support/stock.ts";

const { devices } = edgeDevices();

const openLocal = () => openStore({ name: crypto.randomUUID() });

test("a command is decided on the stream's state, and what it decides is appended at the version it saw", async () => {
  const store = await openLocal();
  expect(await store.aggregateStream("Stock-1", stock)).toEqual({ streamId: "Stock-1", state: stock.initialState, version: 0, pending: 0 });
  expect(await store.handle("Stock-1", stock, { type: "Fill", units: 3 })).toEqual({
    streamId: "Stock-1",
    events: [{ type: "Filled", data: { units: 3 } }],
    state: { left: 3, takenBy: [] },
    version: 1,
    pending: false,
  });
  await store.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 2 });
  await expect(store.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 2 })).rejects.toThrow("bob wants 2, and 1 are left");
  expect(await store.handle("Stock-1", stock, { type: "Fill", units: 0 })).toMatchObject({ events: [], version: 2 });
  expect(await store.aggregateStream("Stock-1", stock)).toMatchObject({ state: { left: 1, takenBy: ["ann"] }, version: 2 });
  await store.close();
});

test("twenty tabs' commands at once are decided one after the other, each on what the ones before left", async () => {
  const name = crypto.randomUUID();
  const tabs = await Promise.all(Array.from({ length: 20 }, () => openStore({ name })));
  await tabs[0]?.handle("Stock-1", stock, { type: "Fill", units: 12 });
  const taken = await Promise.allSettled(
    tabs.map((tab, i) => tab.handle("Stock-1", stock, { type: "Take", by: `tab ${i}`, wanted: 1 }, { retries: 100 })),
  );
  expect(taken.filter(({ status }) => status === "fulfilled")).toHaveLength(12);
  for (const outcome of taken) if (outcome.status === "rejected") expect(String(outcome.reason)).toMatch(/0 are left/);
  const state = await tabs[1]?.aggregateStream("Stock-1", stock);
  expect(state).toMatchObject({ state: { left: 0 }, version: 13 });
  expect(new Set(state?.state.takenBy).size).toBe(12);
  await Promise.all(tabs.map((tab) => tab.close()));
});

test("commands of one tab on one stream are decided in the order in which they were given, and none is in another's way", async () => {
  const store = await openLocal();
  await store.handle("Stock-1", stock, { type: "Fill", units: 60 });
  const given = Array.from({ length: 60 }, (_, i) => ({ type: "Take", by: String(i), wanted: 1 }) as const);
  await Promise.all(given.map((command) => store.handle("Stock-1", stock, command, { retries: 0 })));
  const { state } = await store.aggregateStream("Stock-1", stock);
  expect(state).toMatchObject({ left: 0, takenBy: given.map(({ by }) => by) });
  await store.close();
});

test("a command whose events evolve can't take is refused, and nothing is recorded", async () => {
  const store = await openLocal();
  const evolve = () => {
    throw new Error("a mistake in evolve");
  };
  const failing = { ...stock, name: "failing", evolve };
  await expect(store.handle("Stock-1", failing, { type: "Fill", units: 1 })).rejects.toThrow("a mistake in evolve");
  await expect(store.readStream("Stock-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await store.close();
});

test("a command that JSON can't carry is refused before it is decided", async () => {
  const store = await openLocal();
  await expect(store.handle("Stock-1", stock, { type: "Fill", units: Number.NaN })).rejects.toMatchObject({ code: "invalid-request" });
  await store.handle("Stock-1", stock, { type: "Fill", units: 1 });
  await expect(store.readStream("Stock-1")).resolves.toMatchObject({ version: 1 });
  await store.close();
});

test("the state up to a version, a position or a time; pending events by their version", async () => {
  const a = await devices.open("A");
  await a.handle("Stock-1", stock, { type: "Fill", units: 1 });
  await a.sync();
  await eventually(async () => {
    await a.handle("Stock-2", stock, { type: "Fill", units: 1 });
    await a.sync();
    const [first, last] = [await a.readStream("Stock-1"), await a.readStream("Stock-2")];
    expect(last.events.at(-1)?.recordedAt).not.toBe(first.events[0]?.recordedAt);
  });
  await a.handle("Stock-1", stock, { type: "Fill", units: 10 });
  const { events } = await a.readStream("Stock-1");
  const left = async (upTo: Parameters<Store["aggregateStream"]>[2]) => (await a.aggregateStream("Stock-1", stock, upTo)).state.left;
  expect(await left({ upTo: { version: 0 } })).toBe(0);
  expect(await left({ upTo: { version: 1 } })).toBe(1);
  expect(await left({ upTo: { version: 2 } })).toBe(11);
  expect(await left({ upTo: { position: 1 } })).toBe(1);
  expect(await left({ upTo: { time: events[0]?.recordedAt ?? "" } })).toBe(1);
  expect(await left({ upTo: { time: "2020-01-01T00:00:00Z" } })).toBe(0);
  for (const time of ["yesterday", "2026-01-31T09:30:00", "2026-02-30T09:30:00Z"])
    await expect(left({ upTo: { time } })).rejects.toMatchObject({ code: "invalid-request", field: "upTo.time" });
});

/** Both devices know of a stock of so many units. */
async function stocked(units: number) {
  const deciders = [stock];
  const a = await devices.open("A", { deciders });
  const b = await devices.open("B", { deciders });
  await a.handle("Stock-1", stock, { type: "Fill", units });
  await a.sync();
  await b.sync();
  return { a, b };
}

test("two devices offline, each taking the last unit: one has it, and the other's command is shown as refused, with its reason", async () => {
  const { a, b } = await stocked(1);
  for (const [store, by] of [
    [a, "ann"],
    [b, "bob"],
  ] as const) {
    expect(await store.handle("Stock-1", stock, { type: "Take", by, wanted: 1 })).toMatchObject({ pending: true, state: { left: 0 } });
  }
  await a.sync();
  await b.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(b.status).toMatchObject({ pending: 0, conflicts: 1 });
  const [conflict] = b.conflicts();
  expect(conflict?.command).toEqual({
    id: expect.any(String),
    decider: "stock",
    version: stock.version,
    data: { type: "Take", by: "bob", wanted: 1 },
  });
  expect(conflict?.reason).toContain("The command was decided again and refused: bob wants 1, and 0 are left");
  expect(conflict?.theirs.map(({ type, data }) => ({ type, data }))).toEqual([{ type: "Taken", data: { units: 1, by: "ann" } }]);
  expect((await b.aggregateStream("Stock-1", stock)).state).toEqual({ left: 0, takenBy: ["ann"] });
  await expectAgreement("Stock-1", devices.atEdge, a, b);

  // It stays until there is something to take, or until it is let go of.
  await expect(conflict?.rebase()).rejects.toMatchObject({ code: "invalid-request" });
  expect(b.conflicts()).toHaveLength(1);
  await a.handle("Stock-1", stock, { type: "Fill", units: 5 });
  await a.sync();
  await b.sync();
  await b.conflicts()[0]?.rebase();
  await b.sync();
  await a.sync();
  expect(b.status).toMatchObject({ pending: 0, conflicts: 0 });
  await expectAgreement("Stock-1", devices.atEdge, a, b);
  expect((await a.aggregateStream("Stock-1", stock)).state).toEqual({ left: 4, takenBy: ["ann", "bob"] });
});

test("a reservation that can be decided again is, without anyone asked: with what is true then, and ids of its own", async () => {
  const { a, b } = await stocked(5);
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 3 });
  const asked = { id: crypto.randomUUID(), metadata: { correlationId: "order 7" } };
  await b.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 4, orFewer: true }, { causedBy: asked });
  await b.handle("Stock-1", stock, { type: "Take", by: "bea", wanted: 1 }).catch((error: Error) => expect(error.message).toBe("never"));
  await a.sync();
  await b.sync();
  await a.sync();
  expect((await a.aggregateStream("Stock-1", stock)).state).toEqual({ left: 0, takenBy: ["ann", "bob"] });
  const { events } = await a.readStream("Stock-1");
  expect(events.at(-1)?.metadata, "what caused the command caused what it was decided to again").toEqual({
    correlationId: "order 7",
    causationId: asked.id,
    $commandId: expect.any(String),
  });
  // What was decided on what bob had left is decided on what he has left now.
  expect(b.status).toMatchObject({ pending: 0, conflicts: 1 });
  expect(b.conflicts()[0]?.reason).toContain("bea wants 1, and 0 are left");
  await expectAgreement("Stock-1", devices.atEdge, a, b);
});

test("the command outlives the tab: opened again with its decider, it is decided again; without, it is parked and says what is missing", async () => {
  const { a, b } = await stocked(5);
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 3 });
  await b.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 4, orFewer: true });
  await a.sync();
  await b.close();
  const without = await devices.open("B");
  await without.sync();
  expect(without.status).toMatchObject({ pending: 0, conflicts: 1 });
  expect(without.conflicts()[0]?.reason).toContain("Open the store with the decider stock");
  await without.close();
  const again = await devices.open("B", { deciders: [stock] });
  await again.conflicts()[0]?.rebase();
  await again.sync();
  expect(again.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect((await again.aggregateStream("Stock-1", stock)).state).toEqual({ left: 0, takenBy: ["ann", "bob"] });
});

test("an expectation of the app's own beside commands keeps the rules of its own", async () => {
  const { a, b } = await stocked(5);
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 1 });
  await b.appendToStream("Stock-1", [event("note")], { expectedVersion: 1 });
  await b.handle("Stock-1", stock, { type: "Take", by: "bob", wanted: 1 });
  await a.sync();
  await b.sync();
  expect(b.conflicts().map(({ command }) => command?.decider)).toEqual([undefined, "stock"]);
  expect(b.conflicts()[1]?.reason).toContain("An earlier commit to the stream is parked.");
});

test("a snapshot is taken when there is much to fold, is of confirmed events alone, and may be deleted at any time", async () => {
  const a = await devices.open("A");
  for (let i = 0; i < 3; i++)
    await a.appendToStream(
      "Stock-1",
      Array.from({ length: 50 }, () => filled(1)),
    );
  await a.sync();
  await a.appendToStream("Stock-1", [filled(1000)]);
  const folds = vi.fn(stock.evolve);
  const counted = { ...stock, evolve: folds };
  expect(await a.aggregateStream("Stock-1", counted)).toMatchObject({ state: { left: 1150 }, version: 151, pending: 1 });
  expect(folds).toHaveBeenCalledTimes(151);
  await eventually(async () => {
    folds.mockClear();
    expect(await a.aggregateStream("Stock-1", counted)).toMatchObject({ state: { left: 1150 }, version: 151, pending: 1 });
    expect(folds).toHaveBeenCalledTimes(1);
  });
  // Another version of the decider folds for itself.
  folds.mockClear();
  await a.aggregateStream("Stock-1", { ...counted, version: 2 });
  expect(folds).toHaveBeenCalledTimes(151);
  // What another history held is not believed.
  await a.reset();
  expect(await a.aggregateStream("Stock-1", counted)).toMatchObject({ state: { left: 1000 }, version: 1 });
});

const filled = (units: number): StockEvent => ({ type: "Filled", data: { units } });

test("a live state is told at once, then once for each change, however many events it is; and nothing after it is let go of", async () => {
  const a = await devices.open("A");
  const b = await devices.open("B");
  const live = a.live("Stock-1", stock);
  const seen: { state: Stock; version: number; status: string }[] = [];
  const off = live.subscribe(({ state, version, status }) => seen.push({ state, version, status }));
  expect(seen).toEqual([{ state: stock.initialState, version: 0, status: "loading" }]);
  expect(live.getSnapshot()).toBe(live.getSnapshot());
  await eventually(() => expect(live.getSnapshot().status).toBe("ready"));
  await a.appendToStream("Other-1", [event()]);
  await b.appendToStream(
    "Stock-1",
    Array.from({ length: 100 }, () => filled(1)),
  );
  await b.sync();
  await a.sync();
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 100 }, version: 100, pending: 0 }));
  expect(seen.map(({ version }) => version)).toEqual([0, 0, 100]);
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 1 });
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 99 }, pending: 1 }));
  await a.sync();
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 99 }, pending: 0 }));
  off();
  const told = seen.length;
  await a.handle("Stock-1", stock, { type: "Take", by: "ann", wanted: 1 });
  const again: number[] = [];
  live.subscribe(({ state }) => again.push(state.left))();
  await eventually(async () => expect((await a.aggregateStream("Stock-1", stock)).state.left).toBe(98));
  expect(seen).toHaveLength(told);
  expect(again).toEqual([99]);
});

test("a live state of a store that is closed says so", async () => {
  const store = await openStore({ name: crypto.randomUUID() });
  const live = store.live("Stock-1", stock);
  await store.close();
  const off = live.subscribe(() => undefined);
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ status: "failed", error: { code: "store-closed" } }));
  off();
});

test("a live state hears of what another tab appends", async () => {
  const name = crypto.randomUUID();
  const [one, other] = [await openStore({ name }), await openStore({ name })];
  const live = one.live("Stock-1", stock);
  const off = live.subscribe(() => undefined);
  await other.handle("Stock-1", stock, { type: "Fill", units: 7 });
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 7 }, version: 1 }));
  off();
  await one.close();
  await other.close();
});
