/** Event types on a device: appended events are checked, and every way of reading returns events of the current version. */
import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { type Decider, openStore, type Projection } from "../../../client/index.ts";
import { eventTypes, requested } from "../../support/event-types.ts";
import { eventually } from "../../support/eventually.ts";

interface Channels {
  readonly channels: readonly string[];
}

type Requested = { readonly type: string; readonly data: { readonly channel: string } };

const channels: Decider<Channels, { readonly channel: string }, Requested> = {
  name: "channels",
  version: 1,
  initialState: { channels: [] },
  evolve: (state, { type, data }) => (type === "PermitRequested" ? { channels: [...state.channels, data.channel] } : state),
  decide: ({ channel }) => ({ type: "PermitRequested", data: { channel, lines: [] } }),
};

const byChannel: Projection<{ readonly count: number }, Requested & { readonly streamId: string }> = {
  name: "by-channel",
  version: 1,
  type: "PermitRequested",
  key: ({ data }) => data.channel,
  evolve: (row) => ({ count: (row?.count ?? 0) + 1 }),
};

/** A device that recorded events before its app knew their current versions. */
async function withHistory() {
  const name = crypto.randomUUID();
  const before = await openStore({ name });
  await before.appendToStream("Permit-1", [{ type: "PermitRequested", data: { via: "web" } }]);
  await before.appendToStream("Permit-1", [{ type: "PermitRequested", schemaVersion: 2, data: { channel: "desk" } }]);
  await before.appendToStream("Permit-1", [{ type: "PermitReviewed", data: { by: "a newer app" } }]);
  await before.close();
  const unknown = vi.fn();
  return { store: await openStore({ name, eventTypes, onUnknownEvent: unknown }), unknown };
}

test("streams, the log, states, rows and subscriptions are of the current versions; what is not known is kept, and told", async () => {
  const { store, unknown } = await withHistory();
  const { events } = await store.readStream("Permit-1");
  expect(events.map(({ schemaVersion, data }) => [schemaVersion, data])).toEqual([
    [3, { channel: "web", lines: [] }],
    [3, { channel: "desk", lines: [] }],
    [1, { by: "a newer app" }],
  ]);
  expect(unknown.mock.calls.map(([event]) => event.type)).toEqual(["PermitReviewed"]);
  const all: unknown[] = [];
  for await (const { data } of store.readAll()) all.push(data);
  expect(all).toEqual(events.map(({ data }) => data));
  await store.handle("Permit-1", channels, { channel: "web" });
  expect((await store.aggregateStream("Permit-1", channels)).state.channels).toEqual(["web", "desk", "web"]);
  const table = await store.project(byChannel);
  await table.caughtUp();
  expect(await table.query()).toEqual([
    { key: "desk", row: { count: 1 } },
    { key: "web", row: { count: 2 } },
  ]);
  expect((await table.upTo({ position: 1 })).get("web")).toEqual({ count: 1 });
  const handed: unknown[] = [];
  store.subscribe(({ schemaVersion }) => void handed.push(schemaVersion), { name: "reader" });
  await eventually(() => expect(handed).toEqual([3, 3, 1, 3]));
  await store.close();
});

test("what is recorded stays as it was, and is exported so", async () => {
  const { store } = await withHistory();
  const exported: unknown[] = [];
  for await (const item of store.export()) if (item.state === "confirmed") exported.push([item.schemaVersion, item.data]);
  expect(exported).toEqual([
    [1, { via: "web" }],
    [2, { channel: "desk" }],
    [1, { by: "a newer app" }],
  ]);
  await store.close();
});

test("what is appended is of a known type and its current version, and accepted by its schema; else nothing is recorded", async () => {
  const { store } = await withHistory();
  const refused = async (type: string, data: unknown, field: string, schemaVersion?: number) => {
    const event = { type, data, ...(schemaVersion !== undefined && { schemaVersion }) };
    await expect(store.appendToStream("New-1", [event])).rejects.toMatchObject({ code: "invalid-request", field });
  };
  await refused("PermitRequested", { channel: "phone", lines: [] }, "events[0].data.channel");
  await refused("Requested", {}, "events[0].type");
  await refused("PermitRequested", { via: "web" }, "events[0].schemaVersion", 1);
  await refused("Commented", {}, "events[0].data.text");
  await expect(store.handle("New-1", channels, { channel: "phone" })).rejects.toMatchObject({ field: "events[0].data.channel" });
  await expect(store.readStream("New-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await store.appendToStream("New-1", [requested()]);
  expect((await store.readStream("New-1")).events).toMatchObject([{ schemaVersion: 3 }]);
  // Asked for at once, they stay in their order.
  await Promise.all([1, 2, 3].map((n) => store.appendToStream("New-2", [{ type: "Noted", data: n }])));
  expect((await store.readStream("New-2")).events.map(({ data }) => data)).toEqual([1, 2, 3]);
  await store.close();
});
