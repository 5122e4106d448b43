/** A device's store belongs to one address: what is recorded for one is never pushed to another. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openStore } from "../../../client/index.ts";
import { Database } from "../../../client/storage/database.ts";
import type { EdgeProcess } from "../../support/edge.ts";
import { eventually } from "../../support/eventually.ts";
import { signToken } from "../../support/tokens.ts";
import { type Device, device, event, startJwtEdge } from "./people.ts";

let edge: EdgeProcess;
let here: Device;
let there: Device;
let ann: string;
const token = () => ann;
beforeAll(async () => {
  edge = await startJwtEdge();
  ann = await signToken({ sub: "ann" });
});
afterAll(() => edge.stop());
beforeEach(() => {
  here = device(edge.url);
  there = device(edge.url);
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all([here.close(), there.close()]);
});

test("a second tab with another address is refused: the error says both, and nothing reaches the other edge", async () => {
  const first = await here.open({ sync: { token } });
  await first.appendToStream("Note-1", [event("here")]);
  const refused = there.open({ name: here.name, sync: { token } });
  await expect(refused).rejects.toMatchObject({ code: "owner-mismatch", field: "sync.url", owner: here.url, given: there.url });
  await expect(refused).rejects.toThrow(/another name, deleteStore, or sync\.movedFrom/);
  await first.sync();
  expect([await here.recorded(), await there.recorded()]).toEqual([['ann: "here"'], []]);
});

test("two tabs that open at once with two addresses: one is opened, the other refused", async () => {
  const opened = await Promise.allSettled([here.open({ sync: { token } }), there.open({ name: here.name, sync: { token } })]);
  expect(opened.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("what was recorded before there was an address goes to the first, and to no other", async () => {
  const local = await openStore({ name: here.name });
  await local.appendToStream("Note-1", [event("local")]);
  await local.close();
  const first = await here.open({ sync: { token } });
  await first.sync();
  await expect(there.open({ name: here.name, sync: { token } })).rejects.toMatchObject({ code: "owner-mismatch" });
  expect([await here.recorded(), await there.recorded()]).toEqual([['ann: "local"'], []]);
});

test("two ways to write an address are the same", async () => {
  await here.open({ sync: { token } });
  const written = await here.open({ sync: { token, url: `${here.url.replace("/v1/", "/v1/x/../")}//` } });
  expect(written.status.pending).toBe(0);
});

test("a store that has moved goes on at its new address, and the tab that does not know is told", async () => {
  const front = here.url.replace("127.0.0.1", "localhost");
  const before = await here.open({ sync: { token, pollEvery: 20 } });
  await before.appendToStream("Note-1", [event(1)]);
  await before.sync();
  const after = await here.open({ sync: { token, url: front, movedFrom: here.url, pollEvery: 20 } });
  expect(after.status.cursor?.position).toBe(1);
  await eventually(() =>
    expect(before.status).toMatchObject({ connection: "unauthorized", problem: { code: "owner-mismatch", owner: front } }),
  );
  await expect(before.appendToStream("Note-1", [event("never")])).rejects.toMatchObject({ code: "owner-mismatch", field: "sync.url" });
  await after.appendToStream("Note-1", [event(2)]);
  await eventually(() => expect(after.status).toMatchObject({ connection: "online", pending: 0 }));
  expect(await here.recorded()).toEqual(["ann: 1", "ann: 2"]);
});

test("a store that has moved to an edge with another log is diverged, and nothing is merged", async () => {
  const before = await here.open({ sync: { token, automatic: false } });
  await before.appendToStream("Note-1", [event("here")]);
  await before.sync();
  await before.close();
  const other = await there.open({ sync: { token, automatic: false } });
  await other.appendToStream("Note-1", [event("there")]);
  await other.sync();
  const moved = await there.open({ name: here.name, sync: { token, automatic: false, movedFrom: here.url } });
  await expect(moved.sync()).rejects.toMatchObject({ code: "log-mismatch" });
  expect(moved.status.connection).toBe("diverged");
});

test("a store is moved from the address that it has, and from no other", async () => {
  await here.open({ sync: { token } });
  await expect(there.open({ name: here.name, sync: { token, movedFrom: there.url } })).rejects.toMatchObject({ owner: here.url });
});

test("a database without an owner, as earlier versions left it, belongs to the first that opens it with sync", async () => {
  const database = new Database(here.name, globalThis, { authority: "edge" }, { onEnded: () => undefined, onReopened: () => undefined });
  await database.run(async (db) => db.transaction(["meta"], "readwrite").objectStore("meta").delete("owner"));
  await database.close();
  const store = await here.open({ sync: { token } });
  await store.sync();
  await expect(there.open({ name: here.name, sync: { token } })).rejects.toMatchObject({ owner: here.url, given: there.url });
});

test("a database that is created again belongs to whom it belonged", async () => {
  const store = await here.open({ sync: { token, automatic: false } });
  await new Promise((resolve) => indexedDB.deleteDatabase(here.name).addEventListener("success", resolve));
  await store.appendToStream("Note-1", [event("behind")]);
  await expect(there.open({ name: here.name, sync: { token } })).rejects.toMatchObject({ owner: here.url, given: there.url });
});
