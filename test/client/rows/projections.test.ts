/** Projections on a device: rows folded from the feed, with pending events laid over them. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { openStore, type Projection } from "../../../client/index.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { openLocal, type Permit, type PermitEvent, permits, record, step } from "./permits.ts";

const { devices } = edgeDevices();
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("rows are folded from the events of the filter, found by key and by index, and let go of where evolve answers nothing", async () => {
  const store = await openLocal();
  await record(store, [1, "Asked"], [2, "Asked"], [3, "Asked"], [1, "Granted"], [2, "Withdrawn"]);
  await store.appendToStream("Other-1", [step("Asked")]);
  const table = await store.project(permits);
  await table.caughtUp();
  expect(table.status).toMatchObject({ state: "ready", position: 6, head: 6 });
  expect(await table.get("Permit-1")).toEqual({ status: "Granted", steps: 2 });
  expect(await table.get("Permit-2")).toBeUndefined();
  expect(await table.query({ index: "status", equals: "Asked" })).toEqual([{ key: "Permit-3", row: { status: "Asked", steps: 1 } }]);
  expect((await table.query()).map(({ key }) => key)).toEqual(["Permit-1", "Permit-3"]);
  const bySteps = { index: "steps", from: 1, to: 2, limit: 1 } as const;
  expect((await table.query(bySteps)).map(({ key }) => key)).toEqual(["Permit-3"]);
  expect((await table.query({ ...bySteps, direction: "backwards" })).map(({ key }) => key)).toEqual(["Permit-1"]);
  await expect(table.query({ index: "nothing" as "status" })).rejects.toMatchObject({ code: "invalid-request", field: "index" });
  expect(await store.project(permits)).toEqual(table);
  await store.close();
});

test("rows are kept in step with what is appended, also by another tab, and a live query is told once for a page", async () => {
  const a = await devices.open("A");
  const b = await devices.open("B");
  const live = (await a.project(permits)).live({ index: "status", equals: "Asked" });
  const seen: number[] = [];
  const off = live.subscribe(({ rows }) => seen.push(rows.length));
  await eventually(() => expect(live.getSnapshot().status).toBe("ready"));
  await b.appendToStream("Permit-0", [step("Asked")]);
  await Promise.all(Array.from({ length: 100 }, (_, i) => b.appendToStream(`Permit-${i}`, [step("Asked")])));
  await b.sync();
  await a.sync();
  await eventually(() => expect(live.getSnapshot().rows).toHaveLength(100));
  expect(seen).toEqual([0, 0, 100]);
  off();
  const again = await a.project(permits);
  await again.caughtUp();
  expect(again.status).toMatchObject({ state: "ready", position: 101 });
});

test("pending events are laid over the rows in memory; when they are decided otherwise, nothing of them is left", async () => {
  const a = await devices.open("A");
  const b = await devices.open("B", { onConflict: () => "discard" });
  await record(a, [1, "Asked"], [2, "Asked"], [3, "Asked"]);
  await a.sync();
  await b.sync();
  const table = await b.project(permits);
  await table.caughtUp();
  await b.appendToStream("Permit-2", [step("Refused")], { expectedVersion: 1 });
  await b.appendToStream("Permit-4", [step("Asked")], { expectedVersion: 0 });
  await b.appendToStream("Permit-3", [step("Withdrawn")], { expectedVersion: 1 });
  expect((await table.query({ index: "status", equals: "Asked" })).map(({ key }) => key)).toEqual(["Permit-1", "Permit-4"]);
  expect((await table.query({ index: "status", equals: "Asked", limit: 1, direction: "backwards" })).map(({ key }) => key)).toEqual([
    "Permit-4",
  ]);
  expect(await table.get("Permit-2")).toEqual({ status: "Refused", steps: 2 });
  await record(a, [2, "Granted"], [3, "Granted"]);
  await a.sync();
  await b.sync();
  expect(b.status).toMatchObject({ pending: 0, conflicts: 0 });
  const expected = [
    { key: "Permit-1", row: { status: "Asked", steps: 1 } },
    { key: "Permit-2", row: { status: "Granted", steps: 2 } },
    { key: "Permit-3", row: { status: "Granted", steps: 2 } },
    { key: "Permit-4", row: { status: "Asked", steps: 1 } },
  ];
  expect(await table.query()).toEqual(expected);
  await table.caughtUp();
  expect(await table.query()).toEqual(expected);
});

test("rows as they were up to a position or a time", async () => {
  const store = await openLocal();
  await record(store, [1, "Asked"], [2, "Asked"], [1, "Granted"]);
  const table = await store.project(permits);
  expect([...(await table.upTo({ position: 2 }))]).toEqual([
    ["Permit-1", { status: "Asked", steps: 1 }],
    ["Permit-2", { status: "Asked", steps: 1 }],
  ]);
  expect((await table.upTo({ time: new Date().toISOString() })).get("Permit-1")).toEqual({ status: "Granted", steps: 2 });
  expect((await table.upTo({ time: "2020-01-01T00:00:00Z" })).size).toBe(0);
  await store.close();
});

test("a new version is built anew, and the one before answers until it is there; then its rows are gone", async () => {
  const name = crypto.randomUUID();
  const before = await openLocal(name);
  await record(before, [1, "Asked"], [2, "Asked"]);
  await (await before.project({ ...permits, indexes: ["status"] })).caughtUp();
  await before.close();

  const after = await openLocal(name);
  await record(after, [3, "Asked"]);
  let isHeld = true;
  const held = vi.fn<(row: Permit | undefined, event: PermitEvent) => Permit>((row, event) => {
    if (isHeld) throw new Error("not yet");
    return { status: `${event.type}!`, steps: (row?.steps ?? 0) + 10 };
  });
  const next: Projection<Permit, PermitEvent> = { ...permits, version: 2, indexes: ["status", "steps"], evolve: held };
  const table = await after.project(next);
  await eventually(() => expect(table.status.state).toBe("failed"));
  expect(await table.query()).toEqual([
    { key: "Permit-1", row: { status: "Asked", steps: 1 } },
    { key: "Permit-2", row: { status: "Asked", steps: 1 } },
  ]);
  await expect(table.query({ index: "steps" })).rejects.toMatchObject({ code: "unavailable" });
  isHeld = false;
  await record(after, [4, "Asked"]);
  await eventually(() => expect(table.status.state).toBe("ready"));
  expect(await table.query()).toHaveLength(4);
  expect(await table.get("Permit-1")).toEqual({ status: "Asked!", steps: 10 });
  await eventually(async () => {
    const names = (await indexedDB.databases()).map((database) => database.name);
    expect(names.filter((database) => database?.startsWith(`${name}/`))).toEqual([`${name}/permits@2`]);
  });
  await after.close();
});

test("another history, and a part of the store that came later, have the rows built anew", async () => {
  const a = await devices.open("A");
  await record(a, [1, "Asked"], [2, "Asked"]);
  await a.appendToStream("Permit-1", [step("Granted")]);
  await a.sync();
  const b = await devices.open("B", { sync: { filter: { streams: ["Permit-2"] } } });
  await b.sync();
  const part = await b.project(permits);
  await part.caughtUp();
  expect((await part.query()).map(({ key }) => key)).toEqual(["Permit-2"]);
  await b.close();
  const whole = await devices.open("B");
  await whole.sync();
  const table = await whole.project(permits);
  await eventually(async () => expect((await table.query()).map(({ key }) => key)).toEqual(["Permit-1", "Permit-2"]));
  // Also where one page brings all: what was folded before is not folded once more.
  await table.caughtUp();
  expect(await table.get("Permit-2")).toEqual({ status: "Asked", steps: 1 });
  await whole.reset();
  expect(await table.query(), "nothing of what the device has let go of").toEqual([]);
  await whole.sync();
  await eventually(async () => expect(await table.get("Permit-1")).toEqual({ status: "Granted", steps: 2 }));
});

test("a store that is opened with another filter does not take the rows of the former one for ready", async () => {
  const a = await devices.open("A");
  await record(a, [1, "Asked"], [2, "Asked"]);
  await a.sync();
  const part = await devices.open("B", { sync: { filter: { streams: ["Permit-2"] } } });
  await part.sync();
  await (await part.project(permits)).caughtUp();
  await part.close();
  const whole = await devices.open("B");
  await whole.sync();
  // Another tab has the rows' lock, and does not fold yet.
  const folding = Promise.withResolvers<void>();
  const name = `headwater:B-${devices.url.split("/").at(-1)}:projection:permits@1`;
  await new Promise<void>((resolve) => {
    void navigator.locks.request(name, () => {
      resolve();
      return folding.promise;
    });
  });
  const table = await whole.project(permits);
  expect((await table.query()).map(({ key }) => key)).toEqual(["Permit-1", "Permit-2"]);
  await eventually(() => expect(table.status).toMatchObject({ state: "building", position: 0, head: 2 }));
  const steps: string[] = [];
  const caughtUp = table.caughtUp().then(() => steps.push("caught up"));
  await eventually(async () => expect((await navigator.locks.query()).pending?.map((lock) => lock.name)).toContain(name));
  steps.push("folding");
  folding.resolve();
  await caughtUp;
  expect(steps).toEqual(["folding", "caught up"]);
  expect(table.status).toMatchObject({ state: "ready", position: 2, head: 2 });
});

test("several rows of one event, and rows of several streams", async () => {
  const store = await openLocal();
  const words: Projection<{ count: number }, { streamId: string; data: unknown }> = {
    name: "words",
    version: 1,
    key: ({ data }) => String(data).split(" "),
    evolve: (row) => ({ count: (row?.count ?? 0) + 1 }),
  };
  await store.appendToStream("A-1", [{ type: "Said", data: "to be or not to be" }]);
  await store.appendToStream("A-2", [{ type: "Said", data: "let it be" }]);
  const table = await store.project(words);
  await table.caughtUp();
  expect((await table.query()).map(({ key, row }) => [key, row.count])).toEqual([
    ["be", 2],
    ["it", 1],
    ["let", 1],
    ["not", 1],
    ["or", 1],
    ["to", 1],
  ]);
  await store.close();
});

test("in a store that stays open, another version of a projection takes the place of the one before", async () => {
  const store = await openLocal();
  await record(store, [1, "Asked"]);
  const before = await store.project(permits);
  await before.caughtUp();
  const after = await store.project({ ...permits, version: 2, evolve: () => ({ status: "new", steps: 7 }) });
  await after.caughtUp();
  expect(await after.get("Permit-1")).toEqual({ status: "new", steps: 7 });
  await expect(before.query()).rejects.toMatchObject({ code: "store-closed" });
  await store.close();
});

test("two tabs with two versions of a projection: each has its rows, whichever was opened first, and whoever is ready first", async () => {
  const name = crypto.randomUUID();
  const [older, newer] = [await openLocal(name), await openLocal(name)];
  await record(older, [1, "Asked"]);
  const before = await older.project(permits);
  await before.caughtUp();
  const next: Projection<Permit, PermitEvent> = { ...permits, version: 2, evolve: (_, { type }) => ({ status: `${type}!`, steps: 0 }) };
  const after = await newer.project(next);
  await after.caughtUp();
  const rowOf = (status: string, steps: number) => ({ status, steps });
  expect(await after.get("Permit-1")).toEqual(rowOf("Asked!", 0));
  await before.caughtUp();
  expect(await before.get("Permit-1")).toEqual(rowOf("Asked", 1));
  await record(newer, [1, "Granted"]);
  await eventually(async () =>
    expect([await before.get("Permit-1"), await after.get("Permit-1")]).toEqual([rowOf("Granted", 2), rowOf("Granted!", 0)]),
  );
  await before.caughtUp();
  expect(before.status).toMatchObject({ state: "ready", position: 2 });
  await older.close();
  await newer.close();
});

test("a query that can't be meant is refused, and one of an empty range finds nothing", async () => {
  const store = await openLocal();
  await record(store, [1, "Asked"]);
  const table = await store.project(permits);
  await table.caughtUp();
  const wrong: [query: object, field: string][] = [
    [{ limit: 0 }, "limit"],
    [{ limit: 1.5 }, "limit"],
    [{ direction: "up" }, "direction"],
    [{ index: "steps", from: Number.NaN }, "from"],
    [{ index: "steps", equals: null }, "equals"],
  ];
  for (const [query, field] of wrong) await expect(table.query(query)).rejects.toMatchObject({ code: "invalid-request", field });
  expect(await table.query({ index: "steps", from: 2, to: 1 })).toEqual([]);
  expect(await table.query({ index: "steps", from: 1, to: 1 })).toHaveLength(1);
  for (const indexes of [["a.b"], ["x y"], ["steps", "steps"]]) {
    const unknown = { ...permits, name: "unknown", indexes: indexes as "steps"[] };
    await expect(store.project(unknown)).rejects.toMatchObject({ code: "invalid-request", field: "projection.indexes" });
  }
  await store.close();
});

test("a pending row without a place in an index is not found by it, as a stored one is not", async () => {
  const name = crypto.randomUUID();
  const store = await openStore({ name, sync: { url: "http://127.0.0.1:1/v1/nowhere", automatic: false } });
  const sizes: Projection<{ size: number }, { streamId: string; data: unknown }> = {
    name: "sizes",
    version: 1,
    indexes: ["size"],
    evolve: (_, { data }) => ({ size: Number(data) }),
  };
  const table = await store.project(sizes);
  for (const [i, data] of [3, "none", 1].entries()) await store.appendToStream(`Size-${i}`, [{ type: "Sized", data }]);
  expect((await table.query({ index: "size" })).map(({ row }) => row.size)).toEqual([1, 3]);
  await store.close();
});

test("a live query tells of rows of any kind that a database holds", async () => {
  const store = await openLocal();
  const counts: Projection<Map<string, bigint>, PermitEvent> = {
    name: "counts",
    version: 1,
    evolve: (row = new Map(), { type }) => new Map(row).set(type, (row.get(type) ?? 0n) + 1n),
  };
  const live = (await store.project(counts)).live();
  const seen: (bigint | undefined)[] = [];
  const off = live.subscribe(({ rows }) => seen.push(rows[0]?.row.get("Asked")));
  for (let i = 1n; i <= 3n; i++) {
    await record(store, [1, "Asked"]);
    await eventually(() => expect(seen.at(-1)).toBe(i));
  }
  off();
  await store.close();
});
