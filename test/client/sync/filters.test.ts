/** Tabs of one device with different filters: each has what its own filter asks for, while it is open. */
import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, expect, test, vi } from "vitest";
import type { Store } from "../../../client/index.ts";
import { event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { connectionOf, deleted } from "../storage/dead-connections.ts";

const { devices } = edgeDevices();
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

async function appendAtEdge(...streamIds: readonly string[]): Promise<void> {
  for (const streamId of streamIds) await devices.atEdge.appendToStream(streamId, [event(streamId)]);
}

const openWith = (filter: { categories: string[] } | undefined, automatic = false) =>
  devices.open("A", { sync: { automatic, ...(filter && { filter }), pollEvery: 60_000 } });
const [permits, tickets] = [{ categories: ["Permit"] }, { categories: ["Ticket"] }];

async function categoriesOf(store: Store): Promise<string[]> {
  const categories = new Set<string>();
  for await (const { streamId } of store.readAll()) categories.add(streamId.slice(0, streamId.indexOf("-")));
  return [...categories].sort();
}

test.each([
  ["by Web Locks", () => undefined],
  ["in a browser that has none", () => void vi.stubGlobal("navigator", {})],
])("two tabs with different filters know of each other %s: none is stale when its sync resolves", async (_, stub) => {
  stub();
  await appendAtEdge("Permit-1", "Ticket-1", "Note-1");
  const a = await openWith(permits);
  await a.sync();
  const b = await openWith(tickets);
  await b.sync();
  await appendAtEdge("Permit-2", "Ticket-2", "Note-2");
  // The one that was opened first, without a call of the other.
  await a.sync();
  await expectAgreement("Permit-2", devices.atEdge, a);
  await b.sync();
  await expectAgreement("Ticket-2", devices.atEdge, b);
  await appendAtEdge("Permit-2", "Ticket-2", "Note-2");
  await a.sync();
  await expectAgreement("Permit-2", devices.atEdge, a);
});

test("two tabs with different filters that sync by themselves: both get what comes", async () => {
  const a = await openWith(permits, true);
  await eventually(() => expect(a.status.connection).toBe("online"));
  const b = await openWith(tickets, true);
  await eventually(() => expect(b.status.connection).toBe("online"));
  await appendAtEdge("Permit-1", "Ticket-1", "Note-1");
  await eventually(async () => expect(await categoriesOf(a)).toEqual(["Permit", "Ticket"]));
  expect(await categoriesOf(b)).toEqual(["Permit", "Ticket"]);
});

test("a tab without a filter, and one with: all is followed while the first is open, and the filter alone when the next one is opened", async () => {
  await appendAtEdge("Permit-1", "Note-1");
  const all = await openWith(undefined);
  await all.sync();
  const part = await openWith(permits);
  await part.sync();
  await appendAtEdge("Permit-2", "Note-2");
  await all.sync();
  await expectAgreement("Note-2", devices.atEdge, all);
  await Promise.all([all.close(), part.close()]);
  const next = await openWith(permits);
  await appendAtEdge("Permit-3", "Note-3");
  await next.sync();
  await expectAgreement("Permit-3", devices.atEdge, next);
  await expect(next.readStream("Note-3")).rejects.toMatchObject({ code: "stream-not-found" });
});

test("what another tab follows is not fetched again when a tab is opened beside it", async () => {
  await appendAtEdge("Permit-1", "Ticket-1");
  const asked: string[] = [];
  const counting: typeof fetch = (input, init) => {
    asked.push(String(input));
    return fetch(input, init);
  };
  const a = await openWith(permits);
  await a.sync();
  const b = await devices.open("A", { sync: { filter: tickets, fetch: counting } });
  await b.sync();
  expect(asked.filter((url) => url.includes("within=Permit") && url.includes("after=0"))).toEqual([]);
  await expectAgreement("Permit-1", devices.atEdge, a);
});

test("a database that the one tab has begun anew, after the browser lost it: the other follows what it did", async () => {
  await appendAtEdge("Permit-1", "Ticket-1");
  const [a, b] = [await openWith(permits), await openWith(tickets)];
  await a.sync();
  const [first, second] = [await connectionOf(await withA(a)), await connectionOf(await withA(b))];
  const { name } = first as unknown as IDBDatabase;
  for (const connection of [first, second]) forceCloseDatabase(connection);
  expect(await deleted(name)).toBe(true);
  await b.sync().catch(() => undefined); // what the read of `connectionOf` needs was pending, and is lost
  await a.sync().catch(() => undefined);
  await expectAgreement("Permit-1", devices.atEdge, a);
});

/** `connectionOf` reads a stream of this name. */
async function withA(store: Store): Promise<Store> {
  await store.appendToStream("A-1", [event()]);
  return store;
}
