/** What a subscription costs in addition to the appends. `docs/cost.md` has the figures. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import { type Bill, billOf } from "../bill.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { newSubscribedStore, readModel, type SubscribedStore } from "../edges.ts";
import { createReadModel } from "../read-model.ts";

beforeAll(createReadModel);

function report(what: string, { rowsWritten, rowsRead, alarms, requests }: Bill): void {
  const asked = Object.entries(requests).map(([method, count]) => `${method} ${count}`);
  console.log(`${what}: ${rowsWritten} written (${alarms} of them alarms), ${rowsRead} read; requests: ${asked.join(", ") || "none"}`);
}

/** A store whose alarms have all run: as before the first commit of a burst. Its edge has one subscription, of the category Permit. */
async function quietStore(): Promise<SubscribedStore> {
  const store = newSubscribedStore(readModel);
  await billOf(async () => {
    await store.append("Permit-1", 0, event());
    await settle(store);
    await runDurableObjectAlarm(store.stream("Permit-1"));
    await runDurableObjectAlarm(store.log());
  });
  return store;
}

/** The subscription has been told, and has done its work. */
async function settle(store: SubscribedStore): Promise<void> {
  await runDurableObjectAlarm(store.log());
  await runDurableObjectAlarm(store.subscription("permits"));
}

test("a store without a subscription pays nothing for that there are some elsewhere", async () => {
  const bill = async (store: TestStore) => {
    await store.append("A-1", 0, event());
    await runDurableObjectAlarm(store.stream("A-1"));
    return billOf(() => store.append("A-1", 1, event()));
  };
  expect(await bill(newStore())).toMatchObject({ rowsWritten: 4, alarms: 1, requests: { "stream.append": 1, "log.publish": 1 } });
});

/** Rows for all that the log has grown by until its alarm: its end, in the index and noted by the log. */
const INDEX = 2;

test.each([
  [1, 1],
  [100, 1],
])("a commit of %i events that a subscription handles", async (size, batches) => {
  const store = await quietStore();
  const events = Array.from({ length: size }, () => event());
  const bill = await billOf(async () => {
    await store.append("Permit-1", 1, ...events);
    await settle(store);
  });
  report(`a commit of ${size}, handled by one subscription`, bill);
  const { position } = await store.status("permits");
  expect(position).toBe(size + 1);
  // Besides the 4 (1 event) or so of the commit itself: the log's alarm, the subscription's, its checkpoint, and the index is told.
  expect(bill.rowsWritten).toBeLessThanOrEqual(4 + 2 + batches + INDEX);
  expect(bill.requests).toEqual({
    "stream.append": 1,
    "log.publish": 1,
    "log.alarm": 1,
    "index.rememberEnd": 1,
    "log.readPage": batches,
    "subscription.wake": 1,
    "subscription.alarm": 1,
  });
});

test("events that its filter lets not pass cost their alarm and a page, and no checkpoint", async () => {
  const store = await quietStore();
  await store.append("Other-1", 0, event());
  await settle(store);
  await runDurableObjectAlarm(store.stream("Other-1"));
  const bill = await billOf(async () => {
    await store.append("Other-1", 1, event());
    await settle(store);
  });
  report("a commit that a subscription passes over", bill);
  expect(bill.rowsWritten).toBeLessThanOrEqual(4 + 2 + INDEX);
  expect(await store.status("permits")).toMatchObject({ position: 3, lag: 0 });
});

test("commits of a burst share the log's alarm, and what waits together is handled together", async () => {
  const store = await quietStore();
  const bill = await billOf(async () => {
    for (let i = 0; i < 20; i++) await store.append("Permit-1", 1 + i, event());
    await settle(store);
  });
  report("20 commits of 1, handled by one subscription", bill);
  expect(await store.status("permits")).toMatchObject({ position: 21 });
  expect(bill.rowsWritten).toBeLessThanOrEqual(3 * 20 + 1 + 3 + INDEX);
});

test("a subscription that has nothing to do costs nothing", async () => {
  const store = await quietStore();
  const bill = await billOf(async () => {
    await runDurableObjectAlarm(store.log());
    await runDurableObjectAlarm(store.subscription("permits"));
  });
  expect([bill.rowsWritten, bill.requests]).toEqual([0, {}]);
});
