/** Rows that pending events change: they are kept in memory, and follow what was changed, by whichever tab. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import type { Projection, RecordedEvent, Store, Table } from "../../../client/index.ts";
import { foldRows } from "../../../shared/device/projection.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { problem } from "../../support/problem.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { type Permit, type PermitEvent, permits, record, step } from "./permits.ts";

const { devices } = edgeDevices();
afterEach(() => vi.unstubAllGlobals());

/** With a count of the events that are folded. */
function counted(): { projection: Projection<Permit, PermitEvent>; folds: () => number } {
  let calls = 0;
  const projection = {
    ...permits,
    evolve(row: Permit | undefined, event: PermitEvent) {
      calls++;
      return permits.evolve(row, event);
    },
  };
  const folds = () => {
    const since = calls;
    calls = 0;
    return since;
  };
  return { projection, folds };
}

async function many(store: Store, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => store.appendToStream(`Permit-${i}`, [step("Asked")])));
}

test("each pending event is folded once, whatever is queried, and an append folds its own events alone", async () => {
  const store = await devices.open("A");
  const { projection, folds } = counted();
  const table = await store.project(projection);
  await table.caughtUp();
  await many(store, 300);
  const asked = { index: "status", equals: "Asked", limit: 5 } as const;
  expect(await table.query(asked)).toHaveLength(5);
  expect(folds()).toBe(300);
  expect(await table.get("Permit-7")).toEqual({ status: "Asked", steps: 1 });
  expect(await table.query()).toHaveLength(300);
  expect(folds()).toBe(0);
  await record(store, [7, "Granted"]);
  expect(await table.get("Permit-7")).toEqual({ status: "Granted", steps: 2 });
  expect(folds()).toBe(1);
  await record(store, [7, "Withdrawn"], [7, "Asked"], [8, "Withdrawn"]);
  expect([await table.get("Permit-7"), await table.get("Permit-8")]).toEqual([{ status: "Asked", steps: 1 }, undefined]);
  expect(await table.query()).toHaveLength(299);
  expect(folds()).toBe(3);
});

test("rows follow a page that confirms what is pending, and brings others' events before it", async () => {
  const a = await devices.open("A");
  const b = await devices.open("B");
  const table = await b.project(permits);
  await many(b, 100);
  await b.sync();
  await table.caughtUp();
  expect(await table.query()).toHaveLength(100);
  await record(a, [3, "Granted"], [200, "Asked"]);
  await a.sync();
  await many(b, 50);
  expect(await table.query()).toHaveLength(100);
  await b.sync();
  await table.caughtUp();
  expect(await table.get("Permit-3")).toEqual({ status: "Asked", steps: 3 });
  expect(await table.get("Permit-200")).toEqual({ status: "Asked", steps: 1 });
  expect(await table.query()).toHaveLength(101);
});

test("another tab's appends and pages are seen without a message", async () => {
  vi.stubGlobal("BroadcastChannel", undefined);
  const [a, b] = [await devices.open("A"), await devices.open("A")];
  const other = await devices.open("B");
  const { projection, folds } = counted();
  const table = await a.project(projection);
  await record(a, [1, "Asked"], [2, "Asked"], [3, "Asked"]);
  expect(await table.query()).toHaveLength(3);
  await record(b, [2, "Granted"], [4, "Asked"]);
  expect((await table.query()).map(({ key, row }) => `${key} ${row.status} ${row.steps}`)).toEqual([
    "Permit-1 Asked 1",
    "Permit-2 Granted 2",
    "Permit-3 Asked 1",
    "Permit-4 Asked 1",
  ]);
  expect(folds()).toBe(5);
  await record(other, [3, "Refused"]);
  await other.sync();
  await b.sync();
  await record(b, [1, "Withdrawn"]);
  expect((await table.query()).map(({ key, row }) => `${key} ${row.status} ${row.steps}`)).toEqual([
    "Permit-2 Granted 2",
    "Permit-3 Asked 2",
    "Permit-4 Asked 1",
  ]);
});

test("a tab whose memory is far behind the stored rows, or that has more to fold than it keeps, gets there", async () => {
  const [folding, a, other] = [await devices.open("A"), await devices.open("A"), await devices.open("B")];
  const stored = await folding.project(permits);
  await stored.caughtUp();
  const table = await a.project(permits);
  await record(a, [1, "Asked"]);
  expect(await table.query()).toHaveLength(1);
  const steps = Array.from({ length: 100 }, () => step("Granted"));
  for (let i = 0; i < 25; i++) await other.appendToStream(`Permit-${i % 5}`, steps);
  await other.sync();
  await folding.sync();
  await stored.caughtUp();
  await record(a, [9, "Asked"]);
  const rows = [0, 1, 2, 3, 4].map((i) => ({
    key: `Permit-${i}`,
    row: { status: i === 1 ? "Asked" : "Granted", steps: i === 1 ? 501 : 500 },
  }));
  expect(await table.query()).toEqual([...rows, { key: "Permit-9", row: { status: "Asked", steps: 1 } }]);
  // Nothing is folded into the stored rows yet.
  const late = await a.project({ ...permits, name: "late" });
  expect((await late.get("Permit-9"))?.status).toBe("Asked");
  await eventually(async () => expect(await late.query()).toEqual(await table.query()));
});

test("a commit that is parked, put back or discarded changes its rows and no others", async () => {
  // The edge takes no commit of this kind.
  const choosy: typeof fetch = (input, init) =>
    String(init?.body).includes("Never") ? Promise.resolve(problem("payload-too-large")) : fetch(input, init);
  const store = await devices.open("A", { sync: { fetch: choosy } });
  const table = await store.project(permits);
  await record(store, [1, "Asked"], [2, "Asked"]);
  await store.sync();
  await record(store, [1, "Never"], [2, "Granted"]);
  expect(await table.query()).toEqual([
    { key: "Permit-1", row: { status: "Never", steps: 2 } },
    { key: "Permit-2", row: { status: "Granted", steps: 2 } },
  ]);
  await store.sync();
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
  expect(await table.get("Permit-2")).toEqual({ status: "Granted", steps: 2 });
  const [conflict] = await store.conflicts();
  await conflict?.rebase();
  expect(await table.get("Permit-1")).toEqual({ status: "Never", steps: 2 });
  await store.sync();
  await (await store.conflicts())[0]?.discard();
  expect(await table.get("Permit-1")).toEqual({ status: "Asked", steps: 1 });
});

test("a reset keeps the rows of what is pending, or nothing", async () => {
  const store = await devices.open("A");
  const table = await store.project(permits);
  await record(store, [1, "Asked"], [2, "Asked"]);
  await store.sync();
  await table.caughtUp();
  await record(store, [3, "Asked"]);
  expect(await table.query()).toHaveLength(3);
  await store.reset();
  expect((await table.query()).map(({ key }) => key)).toEqual(["Permit-3"]);
  await store.sync();
  await eventually(async () => expect(await table.query()).toHaveLength(3));
  await record(store, [4, "Asked"]);
  expect(await table.query()).toHaveLength(4);
  await store.reset({ keepPending: false });
  expect(await table.query()).toEqual([]);
  await record(store, [5, "Asked"]);
  expect((await table.query()).map(({ key }) => key)).toEqual(["Permit-5"]);
});

test("an event that evolve throws on fails each query, and none once it is gone or the app can fold it", async () => {
  const store = await devices.open("A");
  let isBroken = true;
  const table = await store.project({
    ...permits,
    evolve(row: Permit | undefined, event: PermitEvent) {
      if (isBroken && event.type === "Odd") throw new RangeError("odd");
      return permits.evolve(row, event);
    },
  });
  await record(store, [1, "Asked"], [2, "Asked"]);
  expect(await table.query()).toHaveLength(2);
  await record(store, [1, "Granted"], [2, "Odd"], [3, "Asked"]);
  for (const query of [{}, { equals: "Permit-1" }]) await expect(table.query(query)).rejects.toThrow("odd");
  isBroken = false;
  expect((await table.query()).map(({ key, row }) => `${key} ${row.status} ${row.steps}`)).toEqual([
    "Permit-1 Granted 2",
    "Permit-2 Odd 2",
    "Permit-3 Asked 1",
  ]);
  isBroken = true;
  await record(store, [4, "Odd"]);
  await expect(table.query()).rejects.toThrow("odd");
  await store.reset({ keepPending: false });
  expect(await table.query()).toEqual([]);
});

test("an app that changes a row which it got changes nothing else", async () => {
  const store = await devices.open("A");
  const table = await store.project<{ steps: string[] }, PermitEvent>({
    name: "lists",
    version: 1,
    evolve: (row, { type }) => ({ steps: [...(row?.steps ?? []), type] }),
  });
  await record(store, [1, "Asked"]);
  (await table.get("Permit-1"))?.steps.push("made up");
  await record(store, [1, "Granted"]);
  expect(await table.get("Permit-1")).toEqual({ steps: ["Asked", "Granted"] });
});

test("a query reads on where rows in front were moved away or deleted by what is pending", async () => {
  const store = await devices.open("A");
  const table = await store.project(permits);
  await many(store, 60);
  await store.sync();
  await table.caughtUp();
  const keys = async (direction: "forwards" | "backwards") =>
    (await table.query({ index: "status", equals: "Asked", limit: 3, direction })).map(({ key }) => key);
  const inOrder = Array.from({ length: 60 }, (_, i) => `Permit-${i}`).sort();
  expect(await keys("forwards")).toEqual(inOrder.slice(0, 3));
  for (const [i, key] of inOrder.slice(0, 40).entries()) await store.appendToStream(key, [step(i % 2 === 0 ? "Granted" : "Withdrawn")]);
  expect(await keys("forwards")).toEqual(inOrder.slice(40, 43));
  for (const key of inOrder.slice(-10)) await store.appendToStream(key, [step("Withdrawn")]);
  expect(await keys("backwards")).toEqual(inOrder.slice(47, 50).reverse());
});

test("whatever two tabs and another device do, both tabs have the rows of all events", async () => {
  const random = new Random(SEED);
  const onConflict = () => random.of(["rebase", "discard", "park"] as const);
  const [a, b] = [await devices.open("A", { onConflict }), await devices.open("A", { onConflict })];
  const other = await devices.open("B");
  const tables = await Promise.all([a, b].map((store) => store.project(permits)));
  const act = async (store: Store): Promise<void> => {
    const streamId = `Permit-${random.between(1, 6)}`;
    const version = await store.readStream(streamId).then(
      (slice) => slice.version,
      () => 0,
    );
    const expectedVersion = random.of<"any" | number>(["any", version]);
    await store.appendToStream(streamId, [step(random.of(["Asked", "Granted", "Withdrawn"]))], { expectedVersion });
  };
  for (let i = 0; i < 60; i++) {
    const store = random.of([a, b]);
    switch (random.between(0, 9)) {
      case 0:
        await store.sync();
        break;
      case 1:
        await other.sync();
        break;
      case 2:
        await store
          .conflicts()[0]
          ?.[random.of<"rebase" | "discard">(["rebase", "discard"])]()
          .catch((error: Error) => {
            // The other tab has, and this one has not heard of it yet.
            expect(error.message).toMatch(/^This conflict was resolved already/);
          });
        break;
      case 3:
        if (random.between(0, 5) === 0) await store.reset({ keepPending: random.between(0, 1) === 0 });
        break;
      case 4:
      case 5:
        await act(other);
        break;
      default:
        await act(store);
    }
    if (random.between(0, 1) === 0) await expectRows(store, random.of([tables[0], tables[1]]), `after ${i}`);
  }
});

/** As they are folded from the first event on. */
async function expectRows(store: Store, table: Table<Permit> | undefined, when: string): Promise<void> {
  const events: Pick<RecordedEvent, "streamId" | "type">[] = [];
  for await (const commit of store.export()) {
    if (commit.state === "confirmed") events.push(commit);
    if (commit.state === "pending") events.push(...commit.events.map(({ type }) => ({ streamId: commit.streamId, type })));
  }
  const rows = foldRows(permits, new Map(), events, false);
  const expected = [...rows].filter(([, row]) => row !== undefined).map(([key, row]) => ({ key, row }));
  expected.sort((x, y) => (x.key < y.key ? -1 : 1));
  expect(await table?.query(), `${when}, SEED=${SEED}`).toEqual(expected);
}
