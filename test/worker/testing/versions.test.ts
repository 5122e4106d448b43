/** An old tab is still open: commands of several versions of an app, on one device and at the edge. */
import "fake-indexeddb/auto";
import { expect, onTestFinished, test } from "vitest";
import { openStore } from "../../../client/index.ts";
import { openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge, type EdgeSettings } from "../../../worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { notUpcasting, one, type ShelfEvent, type ShelfState, two, upcasting } from "../../support/versions.ts";

async function open(settings: EdgeSettings = {}) {
  const edge = await openMemoryEdge(createEdge(settings));
  onTestFinished(() => edge.close());
  const network = edge.network();
  const name = crypto.randomUUID();
  const fill = (units: number) =>
    edge.fetch("/v1/shop/streams/Shelf-1", { method: "POST", body: JSON.stringify({ events: [{ type: "Filled", data: units }] }) });
  const tab = async (options: Partial<Parameters<typeof openStore>[0]> = {}, automatic = true) => {
    const store = await openStore({ name, ...options, sync: { ...network.to("shop"), automatic } });
    onTestFinished(() => store.close());
    return store;
  };
  const recorded = async () => {
    const { events } = (await (await edge.fetch("/v1/shop/streams/Shelf-1")).json()) as {
      events: { data: { units?: number; decidedBy?: number } }[];
    };
    return events.flatMap(({ data }) => (data.decidedBy === undefined ? [] : [[data.units, data.decidedBy]]));
  };
  await fill(5);
  return { edge, network, tab, recorded, fill };
}

test("an older tab that leads does not decide a newer tab's command: it hands over the lead", async () => {
  const { network, tab, recorded, fill } = await open();
  const old = await tab({ deciders: [one] });
  await old.sync();
  const young = await tab({ deciders: [two] });
  network.disconnect();
  await eventually(() => expect(old.status.connection).toBe("offline"));
  await young.handle("Shelf-1", two, { wanted: 7 });
  expect((await young.readStream("Shelf-1")).events.at(-1)?.data).toEqual({ units: 5, decidedBy: 2 });
  // Another device is first.
  await fill(1);
  network.connect();
  await eventually(async () => expect(await recorded()).toEqual([[6, 2]]));
  await eventually(() => expect([old.status.pending, young.status.pending, old.status.problem]).toEqual([0, 0, null]));
  expect([old.conflicts(), young.conflicts()]).toEqual([[], []]);
});

test("without the newer tab the command waits, and the status says for what; the newer app decides it when it comes", async () => {
  const { network, tab, recorded, fill } = await open();
  const young = await tab({ deciders: [two] });
  await young.sync();
  network.disconnect();
  await young.handle("Shelf-1", two, { wanted: 7 });
  await young.close();
  await fill(1);
  const old = await tab({ deciders: [one] });
  network.connect();
  await expect(old.sync()).rejects.toMatchObject({ code: "decider-version", details: { decider: "shelf@2" } });
  await eventually(() => expect(old.status).toMatchObject({ pending: 1, conflicts: 0, problem: { code: "decider-version" } }));
  expect(await recorded()).toEqual([]);
  await tab({ deciders: [two] });
  await eventually(async () => expect(await recorded()).toEqual([[6, 2]]));
  await eventually(() => expect(old.status).toMatchObject({ pending: 0, conflicts: 0, problem: null }));
});

test("a store that syncs on request: sync() of an old tab leaves the command waiting, and sync() of a new one has it decided", async () => {
  const { network, tab, recorded, fill } = await open();
  const old = await tab({ deciders: [one] }, false);
  const young = await tab({ deciders: [two] }, false);
  await young.sync();
  network.disconnect();
  await young.handle("Shelf-1", two, { wanted: 7 });
  await fill(1);
  network.connect();
  await expect(old.sync()).rejects.toMatchObject({ code: "decider-version", details: { decider: "shelf@2" } });
  expect([old.status.pending, old.conflicts(), await recorded()]).toEqual([1, [], []]);
  await young.sync();
  expect([young.status.pending, young.conflicts(), await recorded()]).toEqual([0, [], [[6, 2]]]);
});

test.each(["with", "without"])("a command of an older version is decided by the newer app %s an upcaster for it", async (how) => {
  const { network, tab, recorded, fill } = await open();
  const old = await tab({ deciders: [one] }, false);
  await old.sync();
  await old.handle("Shelf-1", one, 7);
  await old.close();
  await fill(1);
  const eventTypes = how === "with" ? upcasting() : notUpcasting();
  const young = await tab({ deciders: [two], eventTypes }, false);
  await young.sync();
  expect(network.isConnected).toBe(true);
  if (how === "with") return expect(await recorded()).toEqual([[6, 2]]);
  expect(await recorded()).toEqual([]);
  expect(young.conflicts()).toMatchObject([{ kind: "conflict", reason: expect.stringContaining("give defineEventTypes an upcaster") }]);
  await young.close();
  // The upcaster comes with the next deployment.
  const mended = await tab({ deciders: [two], eventTypes: upcasting() }, false);
  await mended.conflicts()[0]?.rebase();
  await mended.sync();
  expect(await recorded()).toEqual([[6, 2]]);
});

test("a newer edge decides an older app's command if it has an upcaster, and lets it wait if it has none", async () => {
  const deciders = { Shelf: two };
  for (const [settings, expected] of [
    [{ deciders, eventTypes: upcasting() }, [[5, 2]]],
    [{ deciders }, []],
  ] as const) {
    const { tab, recorded } = await open(settings);
    const old = await tab({ deciders: [one] }, false);
    await old.sync();
    await old.handle("Shelf-1", one, 7);
    if (expected.length > 0) await old.sync();
    else await expect(old.sync()).rejects.toMatchObject({ code: "decider-version" });
    expect(await recorded()).toEqual(expected);
  }
});

test("a tab that meets an event of a newer version goes on with it as it was recorded, or stops and says so", async () => {
  const { tab, edge } = await open();
  const eventTypes = notUpcasting();
  const seen: number[] = [];
  const watching = {
    ...one,
    evolve(state: ShelfState, event: ShelfEvent & { readonly schemaVersion?: number }) {
      seen.push(event.schemaVersion ?? 0);
      return state;
    },
  };
  const passing = await tab({ deciders: [watching], eventTypes, onUnknownEvent: () => undefined });
  const stopping = await openStore({ name: crypto.randomUUID(), eventTypes, newerEvents: "stop", sync: edge.network().to("shop") });
  onTestFinished(() => stopping.close());
  await stopping.sync();
  const live = stopping.live("Shelf-1", one);
  onTestFinished(live.subscribe(() => undefined));
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ state: { left: 5 }, status: "ready" }));
  const newer = { type: "Filled", schemaVersion: 2, data: { units: 1 } };
  await edge.fetch("/v1/shop/streams/Shelf-1", { method: "POST", body: JSON.stringify({ events: [newer] }) });
  await passing.sync();
  await passing.aggregateStream("Shelf-1", watching);
  expect(seen).toEqual([1, 2]);
  await eventually(() => expect(stopping.status.connection).toBe("outdated"));
  await expect(stopping.aggregateStream("Shelf-1", one)).rejects.toMatchObject({
    code: "store-closed",
    message: expect.stringContaining("reload"),
  });
  expect(live.getSnapshot().state).toEqual({ left: 5 });
});
