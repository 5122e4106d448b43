/** Devices that follow a part of a store, or whose edge has another history. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { type ExportedCommit, LogMismatchError, type Store } from "../../../client/index.ts";
import { dataOf, event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { stock } from "../../support/stock.ts";

const { anotherStore, devices } = edgeDevices();

async function feedOf(store: Pick<Store, "readAll">): Promise<string[]> {
  const lines: string[] = [];
  for await (const { position, streamId, version } of store.readAll()) lines.push(`#${position} ${streamId}@${version}`);
  return lines;
}

async function exportOf(store: Store): Promise<ExportedCommit[]> {
  const exported: ExportedCommit[] = [];
  for await (const item of store.export()) exported.push(item);
  return exported;
}

/** Three categories, interleaved. */
async function fillEdge(rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    for (const category of ["Permit", "Ticket", "Note"])
      await devices.atEdge.appendToStream(`${category}-${i % 3}`, [event(`${category} ${i}`)]);
  }
}

const wanted = async (isWanted: (streamId: string) => boolean) =>
  (await feedOf(devices.atEdge)).filter((line) => isWanted(line.split(" ")[1]?.split("@")[0] ?? ""));

test("a filter brings its categories and streams and nothing else, while the cursor moves on over the rest", async () => {
  await fillEdge(7);
  const filter = { categories: ["Permit"], streams: ["Ticket-1"] };
  const a = await devices.open("A", { sync: { filter }, limits: { pageEvents: 4 } });
  await a.sync();
  expect(await feedOf(a)).toEqual(await wanted((id) => id.startsWith("Permit-") || id === "Ticket-1"));
  expect(a.status).toMatchObject({ head: 21, cursor: { position: 21 } });
  await expectAgreement("Permit-0", devices.atEdge, a);
  await expect(a.readStream("Note-0")).rejects.toMatchObject({ code: "stream-not-found" });
});

test("a filter that is widened fills in what was skipped, in its place, page by page, and goes on where a close cut it off", async () => {
  await fillEdge(10);
  const limits = { pageEvents: 4 };
  const narrow = await devices.open("A", { limits, sync: { filter: { categories: ["Permit"] } } });
  await narrow.sync();
  await narrow.appendToStream("Permit-0", [event("mine")]);
  await narrow.close();
  await fillEdge(1);

  // The network goes away in the middle of the filling in.
  let left = 3;
  const failing: typeof fetch = (...request) => (left-- > 0 ? fetch(...request) : Promise.reject(new TypeError("no network")));
  const filter = { categories: ["Permit", "Ticket"] };
  const cut = await devices.open("A", { limits, sync: { filter, fetch: failing } });
  await expect(cut.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(await dataOf(cut, "Permit-0")).toContain("mine");
  await cut.close();

  const wide = await devices.open("A", { limits, sync: { filter } });
  await wide.sync();
  expect(wide.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await feedOf(wide)).toEqual(await wanted((id) => !id.startsWith("Note-")));
  for (const id of ["Permit-0", "Permit-1", "Ticket-0", "Ticket-2"]) await expectAgreement(id, devices.atEdge, wide);
  await wide.close();

  const all = await devices.open("A", { limits });
  await all.sync();
  expect(await feedOf(all)).toEqual(await feedOf(devices.atEdge));
});

test("a stream outside of the filter that the app appends to is fetched first, and followed from then on", async () => {
  await fillEdge(4);
  const a = await devices.open("A", { sync: { filter: { categories: ["Permit"] } } });
  await a.sync();
  await expect(a.appendToStream("Ticket-0", [event("too early")], { expectedVersion: 1 })).rejects.toMatchObject({
    code: "version-conflict",
    actualVersion: 2,
  });
  expect(await a.appendToStream("Ticket-0", [event("mine")], { expectedVersion: 2 })).toMatchObject({ version: 3, pending: true });
  await a.sync();
  await devices.atEdge.appendToStream("Ticket-0", [event("theirs")], { expectedVersion: 3 });
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  await expectAgreement("Ticket-0", devices.atEdge, a);
  await expect(a.readStream("Ticket-1")).rejects.toMatchObject({ code: "stream-not-found" });
});

test("two tabs with other filters: what one appends outside of the other's is confirmed all the same", async () => {
  await fillEdge(3);
  const old = await devices.open("A", { sync: { filter: { categories: ["Permit"] } } });
  await old.sync();
  // The newer tab's filter is the device's now, and the older one has not heard of it.
  const newer = await devices.open("A", { sync: { filter: { categories: ["Ticket"] } } });
  await old.appendToStream("Permit-0", [event("mine")], { expectedVersion: 1 });
  await newer.sync();
  expect(newer.status).toMatchObject({ pending: 0, conflicts: 0 });
  for (const id of ["Permit-0", "Ticket-0"]) await expectAgreement(id, devices.atEdge, newer);
});

test("offline, a commit outside of the filter goes ahead where it believes nothing of the stream, and is refused where it can't be judged", async () => {
  await fillEdge(3);
  let isDown = false;
  const switched: typeof fetch = (...request) => (isDown ? Promise.reject(new TypeError("no network")) : fetch(...request));
  const a = await devices.open("A", { sync: { filter: { categories: ["Permit"] }, fetch: switched } });
  await a.sync();
  isDown = true;
  await a.appendToStream("Ticket-0", [event("any")]);
  await a.appendToStream("Ticket-9", [event("new")], { expectedVersion: "no-stream" });
  await a.appendToStream("Ticket-1", [event("not new")], { expectedVersion: "no-stream" });
  // However often it is tried: nothing is decided on what the device lacks.
  for (let i = 0; i < 2; i++) {
    await expect(a.appendToStream("Ticket-2", [event("blind")], { expectedVersion: 1 })).rejects.toMatchObject({ code: "unavailable" });
    await expect(a.handle("Ticket-2", stock, { type: "Fill", units: 1 })).rejects.toMatchObject({ code: "unavailable" });
  }
  isDown = false;
  await a.sync();
  expect(a.conflicts().map(({ streamId }) => streamId)).toEqual(["Ticket-1"]);
  expect(await dataOf(devices.atEdge, "Ticket-0")).toEqual(["Ticket 0", "any"]);
  for (const id of ["Ticket-0", "Ticket-9"]) await expectAgreement(id, devices.atEdge, a);
  expect(await a.handle("Ticket-2", stock, { type: "Fill", units: 1 })).toMatchObject({ version: 2 });
});

test("store wiped: the device stops, exports all that it holds, and after a reset brings what it had pending to the new history", async () => {
  const other = anotherStore();
  let isReplaced = false;
  const redirected: typeof fetch = (input, init) => {
    const request = new Request(input, init);
    return fetch(isReplaced ? new Request(request.url.replace(devices.url, other.url), request) : request);
  };
  const a = await devices.open("A", { sync: { fetch: redirected } });
  await a.appendToStream("A-1", [event("old 1"), event("old 2")]);
  await a.sync();
  await a.appendToStream("A-1", [event("built on it")], { expectedVersion: 2 });
  await a.appendToStream("A-1", [event("behind that")]);
  await a.appendToStream("B-1", [event("of itself")], { expectedVersion: "no-stream" });
  await a.appendToStream("C-1", [event("any")]);
  isReplaced = true;
  await other.atEdge.appendToStream("C-1", [event("theirs")]);
  await expect(a.sync()).rejects.toBeInstanceOf(LogMismatchError);
  expect(a.status).toMatchObject({ connection: "diverged", pending: 4 });

  expect((await exportOf(a)).map((item) => [item.state, item.streamId])).toEqual([
    ["confirmed", "A-1"],
    ["confirmed", "A-1"],
    ["pending", "A-1"],
    ["pending", "A-1"],
    ["pending", "B-1"],
    ["pending", "C-1"],
  ]);

  await a.reset();
  expect(a.status).toMatchObject({ pending: 2, conflicts: 2, cursor: null });
  expect(a.conflicts().map(({ code, events }) => [code, events[0]?.data])).toEqual([
    ["log-mismatch", "built on it"],
    ["log-mismatch", "behind that"],
  ]);
  await a.sync();
  expect(a.status).toMatchObject({ connection: "online", pending: 0, conflicts: 2 });
  expect(await feedOf(a)).toEqual(await feedOf(other.atEdge));
  expect(await dataOf(a, "C-1")).toEqual(["theirs", "any"]);
  for (const conflict of a.conflicts()) await conflict.rebase();
  await a.sync();
  expect(await dataOf(other.atEdge, "A-1")).toEqual(["built on it", "behind that"]);
  await other.close();
});

test("a commit of which a page has confirmed some events is exported with the others alone: each event is exported once", async () => {
  let isCut = true;
  const cutting: typeof fetch = (input, init) =>
    isCut && String(input).includes("after=3") ? Promise.reject(new TypeError("no network")) : fetch(input, init);
  const a = await devices.open("A", { limits: { pageEvents: 3 }, sync: { fetch: cutting } });
  await a.appendToStream(
    "A-1",
    [0, 1, 2, 3, 4].map((n) => event(n)),
  );
  const { events } = await a.readStream("A-1");
  await expect(a.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(a.status).toMatchObject({ pending: 1, cursor: { position: 3 } });
  const exported = await exportOf(a);
  expect(exported.map(({ state }) => state)).toEqual(["confirmed", "confirmed", "confirmed", "pending"]);
  const ids = exported.flatMap((item) => (item.state === "confirmed" ? [item.id] : item.events.map(({ id }) => id)));
  expect(ids).toEqual(events.map(({ id }) => id));
  isCut = false;
  await a.sync();
  expect((await exportOf(a)).map(({ state }) => state)).toEqual(Array(5).fill("confirmed"));
});

test("a commit that is confirmed while the store is exported is in the export once, as it was at the beginning", async () => {
  const a = await devices.open("A");
  for (const data of [1, 2]) {
    await a.appendToStream("A-1", [event(data)]);
    if (data === 1) await a.sync();
  }
  const reading = a.export();
  expect((await reading.next()).value).toMatchObject({ state: "confirmed", data: 1 });
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0 });
  expect((await reading.next()).value).toMatchObject({ state: "pending", events: [{ data: 2 }], reason: undefined });
  expect(await reading.next()).toMatchObject({ done: true });
});

test("a pending and a parked commit are exported with their command", async () => {
  const [a, b] = [await devices.open("A"), await devices.open("B")];
  await a.handle("Stock-1", stock, { type: "Fill", units: 1 });
  for (const device of [a, b]) await device.sync();
  const take = (by: string) => ({ type: "Take", by, wanted: 1 }) as const;
  for (const [device, by] of [
    [a, "A"],
    [b, "B"],
  ] as const)
    await device.handle("Stock-1", stock, take(by));
  for (const device of [a, b]) await device.sync();
  await b.handle("Stock-2", stock, { type: "Fill", units: 3 });
  await b.appendToStream("A-1", [event("without")]);
  const unconfirmed = (await exportOf(b)).flatMap((item) => (item.state === "confirmed" ? [] : [item]));
  expect(unconfirmed).toMatchObject([
    { state: "pending", command: { decider: "stock", data: { type: "Fill", units: 3 } }, reason: undefined },
    { state: "pending", command: undefined, reason: undefined },
    { state: "parked", command: { decider: "stock", data: take("B") }, reason: expect.stringContaining("0 are left") },
  ]);
});

test("a reset that keeps nothing lets go of everything, and the device begins anew", async () => {
  const a = await devices.open("A");
  await a.appendToStream("A-1", [event(1)]);
  await a.sync();
  await a.appendToStream("A-1", [event(2)]);
  await a.reset({ keepPending: false });
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0, cursor: null });
  await expect(a.readStream("A-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await a.sync();
  expect(await dataOf(a, "A-1")).toEqual([1]);
  expect(await a.appendToStream("A-1", [event(3)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
});

test("a reading that a reset overtakes fails, and is not cut short in silence", async () => {
  const ten = Array.from({ length: 10 }, (_, i) => event(i));
  for (let i = 0; i < 70; i++) await devices.atEdge.appendToStream(`Permit-${i}`, ten);
  const a = await devices.open("A", { limits: { pageEvents: 10 } });
  await a.sync();
  const reading = a.readAll();
  expect((await reading.next()).value).toMatchObject({ position: 1 });
  await a.reset();
  const rest = async () => {
    for await (const _ of reading);
  };
  await expect(rest()).rejects.toMatchObject({ code: "unavailable" });
});
