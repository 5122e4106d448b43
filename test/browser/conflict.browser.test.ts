import { expect, inject, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { openStore, type StreamEvent } from "../../client/index.ts";

const edge = inject("edgeUrl");

async function twoDevices() {
  const store = crypto.randomUUID().slice(0, 8);
  const url = `${edge}/v1/conflict-${store}`;
  const [a, b] = await Promise.all(["A", "B"].map((device) => openStore({ name: `${device}-${store}`, sync: { url, automatic: false } })));
  if (a === undefined || b === undefined) throw new Error("two devices were opened");
  return { a, b, atEdge: connectStore({ url }) };
}

function types(events: readonly { readonly type: string }[]): string[] {
  return events.map((event) => event.type);
}

function confirmed(events: readonly StreamEvent[]) {
  return events.map(({ pending: _, ...event }) => event);
}

test("two devices build on the same version: one is confirmed, the other sees both sides and rebases", async () => {
  const { a, b, atEdge } = await twoDevices();
  await a.appendToStream("Permit-1", [{ type: "Requested", data: {} }], { expectedVersion: "no-stream" });
  await a.sync();
  await b.sync();

  await a.appendToStream("Permit-1", [{ type: "Granted", data: { by: "A" } }], { expectedVersion: 1 });
  await b.appendToStream("Permit-1", [{ type: "Refused", data: { by: "B" } }], { expectedVersion: 1 });
  await b.appendToStream("Permit-1", [{ type: "Filed", data: { by: "B" } }], { expectedVersion: 2 });
  await a.sync();
  await b.sync();

  expect(a.conflicts()).toEqual([]);
  expect(b.status).toMatchObject({ pending: 0, conflicts: 2 });
  const [first, second] = b.conflicts();
  expect(first).toMatchObject({ streamId: "Permit-1", code: "version-conflict", expectedVersion: 1, actualVersion: 2 });
  expect(types(first?.events ?? [])).toEqual(["Refused"]);
  expect(types(first?.theirs ?? [])).toEqual(["Granted"]);
  expect(types(second?.events ?? [])).toEqual(["Filed"]);
  expect(types((await b.readStream("Permit-1")).events)).toEqual(["Requested", "Granted"]);

  await first?.rebase();
  await second?.rebase();
  expect(b.conflicts()).toEqual([]);
  await b.sync();
  await a.sync();

  const { events } = await atEdge.readStream("Permit-1");
  expect(types(events)).toEqual(["Requested", "Granted", "Refused", "Filed"]);
  expect(new Set(events.map((event) => event.id)).size).toBe(4);
  for (const device of [a, b]) expect(confirmed((await device.readStream("Permit-1")).events)).toEqual(confirmed(events));
  await expect(first?.rebase()).rejects.toMatchObject({ code: "invalid-request" });
  await Promise.all([a.close(), b.close()]);
});

test("a discarded commit is gone everywhere, and the device goes on from what the edge holds", async () => {
  const { a, b, atEdge } = await twoDevices();
  await a.appendToStream("Permit-2", [{ type: "Requested", data: "A" }], { expectedVersion: "no-stream" });
  await b.appendToStream("Permit-2", [{ type: "Requested", data: "B" }], { expectedVersion: "no-stream" });
  await a.sync();
  await b.sync();
  await b.conflicts()[0]?.discard();
  await b.appendToStream("Permit-2", [{ type: "Granted", data: "B" }], { expectedVersion: 1 });
  await b.sync();
  expect(b.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect((await atEdge.readStream("Permit-2")).events.map((event) => event.data)).toEqual(["A", "B"]);
  await Promise.all([a.close(), b.close()]);
});

test("commits that say `any` move behind what others appended, and nobody is asked", async () => {
  const { a, b, atEdge } = await twoDevices();
  for (const [device, name] of [
    [a, "A"],
    [b, "B"],
  ] as const) {
    for (let i = 1; i <= 3; i++) await device.appendToStream("Note-1", [{ type: "Noted", data: `${name}${i}` }]);
  }
  await a.sync();
  await b.sync();
  await a.sync();
  const { events } = await atEdge.readStream("Note-1");
  expect(events.map((event) => event.data)).toEqual(["A1", "A2", "A3", "B1", "B2", "B3"]);
  for (const device of [a, b]) expect(confirmed((await device.readStream("Note-1")).events)).toEqual(confirmed(events));
  await Promise.all([a.close(), b.close()]);
});
