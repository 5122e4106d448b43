/** Several people and several addresses on one device, in a real browser: two tabs are two stores of this page. */
import { afterEach, expect, inject, test, vi } from "vitest";
import { connectStore } from "../../client/http.ts";
import { deleteStore, openStore, type Projection, type Store, type StoreOptions } from "../../client/index.ts";

const edge = inject("edgeUrl");
const stores: Store[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

async function open(options: StoreOptions): Promise<Store> {
  const store = await openStore(options);
  stores.push(store);
  return store;
}

/** A token that the edge of these tests does not verify, as it allows everything. */
const tokenOf = (sub: string) => `e30.${btoa(JSON.stringify({ sub })).replace(/=+$/, "")}.c2ln`;
const newUrl = () => `${edge}/v1/${crypto.randomUUID()}`;
const event = (data: string) => ({ type: "Noted", data });
const poll = (read: () => unknown) => vi.waitFor(read, { timeout: 20_000, interval: 20 });
const names = async (start: string) => (await indexedDB.databases()).flatMap(({ name }) => (name?.startsWith(start) ? [name] : [])).sort();

async function dataAt(url: string): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const { data } of connectStore({ url }).readAll()) all.push(data);
  return all;
}

const notes: Projection<{ count: number }> = {
  name: "notes",
  version: 1,
  key: ({ streamId }) => streamId,
  evolve: (row) => ({ count: (row?.count ?? 0) + 1 }),
};

test("two addresses under one name: the second is refused, and nothing reaches it", async () => {
  const [name, here, there] = [crypto.randomUUID(), newUrl(), newUrl()];
  const store = await open({ name, sync: { url: here } });
  await expect(open({ name, sync: { url: there } })).rejects.toMatchObject({ code: "owner-mismatch", owner: here, given: there });
  await store.appendToStream("Note-1", [event("here")]);
  await store.sync();
  expect([await dataAt(here), await dataAt(there)]).toEqual([["here"], []]);
});

test("offline events of one person wait for that person, whoever comes between", async () => {
  const [name, url] = [crypto.randomUUID(), newUrl()];
  let isOnline = false;
  let sent = 0;
  const switched: typeof fetch = (...request) => {
    if (!isOnline) return Promise.reject(new TypeError("offline"));
    sent++;
    return fetch(...request);
  };
  let token = tokenOf("ann");
  const store = await open({ name, sync: { url, fetch: switched, token: () => token } });
  await store.appendToStream("Note-1", [event("of ann")]);
  token = tokenOf("bob");
  isOnline = true;
  await poll(() => expect(store.status).toMatchObject({ connection: "unauthorized", problem: { owner: "ann", given: "bob" } }));
  await expect(store.appendToStream("Note-1", [event("of bob")])).rejects.toMatchObject({ code: "owner-mismatch" });
  await expect(store.readStream("Note-1")).rejects.toMatchObject({ code: "owner-mismatch" });
  expect(sent).toBe(0);
  token = tokenOf("ann");
  await poll(() => expect(store.status).toMatchObject({ connection: "online", pending: 0, problem: null }));
  expect(await dataAt(url)).toEqual(["of ann"]);
});

test("two persons have two databases, and what was recorded before goes to the first", async () => {
  const [name, url] = [crypto.randomUUID(), newUrl()];
  const before = await open({ name, sync: { url, automatic: false } });
  await before.appendToStream("Note-1", [event("before")]);
  const sync = (person: string) => ({ url, automatic: false, token: () => tokenOf(person) });
  const [ann, again] = await Promise.all([
    open({ name, person: "ann", sync: sync("ann") }),
    open({ name, person: "ann", sync: sync("ann") }),
  ]);
  const bob = await open({ name, person: "bob", sync: sync("bob") });
  expect([ann.status.pending, again.status.pending, bob.status.pending]).toEqual([1, 1, 0]);
  await Promise.all([ann.sync(), bob.sync()]);
  expect(await dataAt(url)).toEqual(["before"]);
  expect(await names(name)).toEqual([name, `${name}~ann`, `${name}~bob`]);
  expect(await before.appendToStream("Note-1", [event("of nobody")])).toMatchObject({ version: 1 });
});

test("deleteStore deletes the log and the rows, and closes the other tab for good", async () => {
  const [name, url] = [crypto.randomUUID(), newUrl()];
  const one = await open({ name, person: "ann", sync: { url } });
  const two = await open({ name, person: "ann", sync: { url } });
  await one.appendToStream("Note-1", [event("kept at the edge")]);
  await one.sync();
  const table = await two.project(notes);
  await table.caughtUp();
  expect(await names(name)).toEqual([`${name}~ann`, `${name}~ann/notes@1`]);
  await deleteStore(name);
  expect(await names(name)).toEqual([]);
  for (const store of [one, two]) {
    await poll(() => expect(store.status.connection).toBe("deleted"));
    await expect(store.appendToStream("Note-1", [event("late")])).rejects.toMatchObject({ code: "store-closed" });
  }
  expect(await names(name)).toEqual([]);
  expect(await dataAt(url)).toEqual(["kept at the edge"]);
});

test("signOut shows what is pending, and deletes when the app says so", async () => {
  const name = crypto.randomUUID();
  const options = { name, person: "ann", sync: { url: newUrl(), automatic: false } };
  const [one, two] = [await open(options), await open(options)];
  await one.appendToStream("Note-1", [event("pending")]);
  expect(await two.signOut()).toMatchObject({ isDeleted: false, unconfirmed: [{ state: "pending", streamId: "Note-1" }] });
  expect(await two.signOut({ discard: true })).toMatchObject({ isDeleted: true, unconfirmed: [{ state: "pending" }] });
  await poll(() => expect(one.status.connection).toBe("deleted"));
  expect(await names(name)).toEqual([]);
});
