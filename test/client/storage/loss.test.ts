/** Databases that are gone with commits that were on the device alone: it is told, in each tab and after each start, until the app knows. */
import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, expect, test, vi } from "vitest";
import { CommitsLostError, deleteStore, openStore, type Store, StreamNotFoundError } from "../../../client/index.ts";
import type { Loss } from "../../../shared/device/loss.ts";
import { event } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { stock } from "../../support/stock.ts";
import { signToken } from "../../support/tokens.ts";
import { connectionOf, deleted, idOfDatabase } from "./dead-connections.ts";

const { devices } = edgeDevices();
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** localStorage as a browser has it: one for all tabs of the site, which outlives them. */
function stubLocalStorage(): Map<string, string> {
  const kept = new Map<string, string>();
  const methods: Pick<Storage, "getItem" | "setItem" | "removeItem"> = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  };
  const keys = { ownKeys: () => [...kept.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: "" }) };
  vi.stubGlobal("localStorage", new Proxy({}, { ...keys, get: (_, name) => Reflect.get(methods, name) }));
  return kept;
}

async function nameOf(store: Store): Promise<string> {
  return ((await connectionOf(store)) as unknown as IDBDatabase).name;
}

/** As a browser evicts it. */
async function lose(...tabs: readonly Store[]): Promise<void> {
  const [first] = tabs;
  if (first === undefined) throw new Error("a database is lost under a tab");
  const name = await nameOf(first);
  for (const tab of tabs) forceCloseDatabase(await connectionOf(tab));
  expect(await deleted(name)).toBe(true);
}

const NOTES = [event(1), event(2), event(3)];
/** The stream of `connectionOf` is there, so that it can be read. */
async function appendThree(store: Store): Promise<void> {
  for (const [i, note] of NOTES.entries()) await store.appendToStream(`A-${(i % 2) + 1}`, [note]);
}

test("lost under an open tab: sync does not resolve as if all were well, the status says what, and both are over when the app knows", async () => {
  const before = new Date().toISOString();
  const store = await devices.open("A");
  await appendThree(store);
  expect(store.status).toMatchObject({ pending: 3, lost: null });
  const told: (Loss | null)[] = [];
  const end = store.liveStatus().subscribe(({ lost }) => void told.push(lost));
  await lose(store);
  const lost = { commits: 3, since: expect.any(String), streamIds: ["A-1", "A-2"] };
  await expect(store.sync()).rejects.toThrow(CommitsLostError);
  expect(told.at(-1)).toEqual(lost);
  expect(store.status).toMatchObject({ pending: 0, lost, problem: null });
  expect((store.status.lost?.since ?? "") >= before).toBe(true);
  // What is left is synced all the same.
  await store.appendToStream("A-3", [event(4)]);
  await expect(store.sync()).rejects.toMatchObject({ code: "commits-lost", message: expect.stringMatching(/^3 commits .*dismissLoss/) });
  expect((await devices.atEdge.health()).head).toBe(1);
  await store.dismissLoss();
  expect(store.status.lost).toBeNull();
  expect(told.at(-1)).toBeNull();
  end();
  await store.sync();
});

test("what another tab says late of the database that is gone does not hide what is on the new one alone", async () => {
  const kept = stubLocalStorage();
  const store = await devices.open("A");
  await appendThree(store);
  const name = await nameOf(store);
  const database = await idOfDatabase(name);
  const channel = new BroadcastChannel(`headwater:${name}`);
  const says = (of: string, link: object) => channel.postMessage({ kind: "connection", database: of, link, problem: null });
  says(database, { connection: "online", acknowledged: 1, progress: null });
  await eventually(() => expect(store.status.acknowledged).toBe(1));
  const counts = () => JSON.parse(kept.get(`headwater:${name}`) ?? "[]");
  // A loss is what was counted last: the tab alone knows of the acknowledgement until it is written.
  await eventually(() => expect(counts()).toMatchObject([{ commits: 2 }]));
  await lose(store);
  await store.appendToStream("B-1", [event(4)]);
  says(database, { connection: "online", acknowledged: 3, progress: null });
  says(await idOfDatabase(name), { connection: "connecting", progress: null });
  channel.close();
  await eventually(() => expect(store.status).toMatchObject({ connection: "connecting", pending: 1, acknowledged: 0 }));
  await eventually(() => expect(counts()).toMatchObject([{ commits: 2 }, { commits: 1, streamIds: ["B-1"] }]));
});

test("what is pending on the new database is never added to what was pending on the one that is gone", async () => {
  const store = await devices.open("A");
  await appendThree(store);
  const pending: number[] = [];
  const end = store.liveStatus().subscribe(() => void pending.push(store.status.pending));
  await lose(store);
  await store.appendToStream("B-1", [event(4)]);
  await eventually(() => expect(store.status).toMatchObject({ pending: 1, lost: { commits: 3 } }));
  end();
  expect(pending.filter((count) => count > 3)).toEqual([]);
});

test("lost under two tabs: one loss, told in both, and over in both", async () => {
  const [a, b] = [await devices.open("A"), await devices.open("A")];
  await appendThree(a);
  await b.appendToStream("B-1", [event(4)]);
  await eventually(() => expect([a.status.pending, b.status.pending]).toEqual([4, 4]));
  await lose(a, b);
  for (const tab of [b, a]) await expect(tab.sync()).rejects.toThrow(CommitsLostError);
  for (const tab of [a, b]) expect(tab.status.lost).toMatchObject({ commits: 4, streamIds: ["A-1", "A-2", "B-1"] });
  await a.dismissLoss();
  await eventually(() => expect(b.status.lost).toBeNull());
  for (const tab of [a, b]) await tab.sync();
});

test("tabs that do not hear of each other keep one count of what both have appended", async () => {
  const kept = stubLocalStorage();
  vi.stubGlobal("BroadcastChannel", undefined);
  const [a, b] = [await devices.open("A"), await devices.open("A")];
  const counted = () => [...kept.values()].map((text) => JSON.parse(text).map(({ commits, streamIds }: Loss) => [commits, streamIds]));
  await a.appendToStream("A-1", [event(1)]);
  await eventually(() => expect(counted()).toEqual([[[1, ["A-1"]]]]));
  await b.appendToStream("B-1", [event(2)]);
  await eventually(() => expect(counted()).toEqual([[[2, ["A-1", "B-1"]]]]));
  await a.appendToStream("A-1", [event(3)]);
  await eventually(() => expect(counted()).toEqual([[[3, ["A-1", "B-1"]]]]));
});

test("lost a second time before the app took note: both are told", async () => {
  const store = await devices.open("A");
  await appendThree(store);
  await lose(store);
  await store.appendToStream("A-1", [event(4)]);
  await eventually(() => expect(store.status).toMatchObject({ pending: 1, lost: { commits: 3 } }));
  const first = store.status.lost?.since;
  await lose(store);
  await expect(store.sync()).rejects.toThrow(CommitsLostError);
  expect(store.status.lost).toMatchObject({ commits: 4, since: first, streamIds: ["A-1", "A-2"] });
});

test("lost between two starts: told at the next one, and at each start until the app knows", async () => {
  stubLocalStorage();
  const store = await devices.open("A");
  await appendThree(store);
  const name = await nameOf(store);
  await store.close();
  expect(await deleted(name)).toBe(true);
  for (let start = 0; start < 2; start++) {
    const next = await devices.open("A");
    expect(next.status.lost).toMatchObject({ commits: 3, streamIds: ["A-1", "A-2"] });
    await expect(next.sync()).rejects.toThrow(CommitsLostError);
    await next.close();
  }
  const last = await devices.open("A");
  await last.dismissLoss();
  await last.close();
  const after = await devices.open("A");
  expect(after.status.lost).toBeNull();
  await after.sync();
});

test("lost twice between starts: what was not dismissed is not forgotten with the database that knew it", async () => {
  stubLocalStorage();
  const first = await devices.open("A");
  await appendThree(first);
  const name = await nameOf(first);
  await first.close();
  expect(await deleted(name)).toBe(true);
  const second = await devices.open("A");
  expect(second.status.lost).toMatchObject({ commits: 3 });
  await second.close();
  expect(await deleted(name)).toBe(true);
  expect((await devices.open("A")).status.lost).toMatchObject({ commits: 3, streamIds: ["A-1", "A-2"] });
});

test("what the edge has is not lost: confirmed commits, and commits that it has taken", async () => {
  const kept = stubLocalStorage();
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const slow: typeof fetch = async (input, init) => {
    if (isHeld && init?.method !== "POST") await held.promise;
    return fetch(input, init);
  };
  const store = await devices.open("A", { sync: { automatic: true, fetch: slow, pollEvery: 60_000 } });
  await eventually(() => expect(store.status.connection).toBe("online"));
  await appendThree(store);
  await store.sync();
  await eventually(() => expect(kept.size).toBe(0));
  isHeld = true;
  await store.appendToStream("A-1", [event(4)]);
  await eventually(() => expect(store.status).toMatchObject({ pending: 1, acknowledged: 1 }));
  await eventually(() => expect(kept.size).toBe(0));
  await lose(store);
  isHeld = false;
  held.resolve();
  await store.sync();
  expect(store.status.lost).toBeNull();
});

test("what sync remembers of a database that is gone does not count for the commits of the next one", async () => {
  let isHeld = false;
  const never = new Promise<never>(() => undefined);
  const holding: typeof fetch = (input, init) => (isHeld ? never : fetch(input, init));
  const slow: typeof fetch = (input, init) => (init?.method === "POST" ? holding(input, init) : never);
  let isSlow = false;
  const switched: typeof fetch = (input, init) => (isSlow ? slow(input, init) : fetch(input, init));
  const store = await devices.open("A", { sync: { automatic: true, fetch: switched, pollEvery: 60_000 } });
  await eventually(() => expect(store.status.connection).toBe("online"));
  isSlow = true;
  await store.appendToStream("A-1", [event(1)]);
  await eventually(() => expect(store.status).toMatchObject({ pending: 1, acknowledged: 1 }));
  isHeld = true;
  await lose(store);
  await store.appendToStream("A-1", [event(2)]);
  await eventually(() => expect(store.status).toMatchObject({ pending: 1, acknowledged: 0 }));
});

test("a state and a subscription in memory are not of the database that is begun anew", async () => {
  const seen: number[] = [];
  const store = await devices.open("A");
  await devices.atEdge.appendToStream("A-1", [{ type: "Filled", data: { units: 5 } }]);
  await store.sync();
  const live = store.live("A-1", stock);
  const off = live.subscribe(() => undefined);
  const end = store.subscribe(({ position }) => void seen.push(position), { from: "beginning" });
  await eventually(() => expect([live.getSnapshot().version, seen]).toEqual([1, [1]]));
  await lose(store);
  await expect(store.readStream("A-1")).rejects.toThrow(StreamNotFoundError);
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ version: 0, state: { left: 0 } }));
  await devices.atEdge.appendToStream("A-1", [{ type: "Filled", data: { units: 2 } }]);
  await store.sync();
  await eventually(() => expect(live.getSnapshot()).toMatchObject({ version: 2, state: { left: 7 } }));
  await eventually(() => expect(seen).toEqual([1, 2]));
  off();
  end();
});

test("parked commits are on this device alone, too", async () => {
  const kept = stubLocalStorage();
  const store = await devices.open("A");
  await devices.atEdge.appendToStream("A-1", [event("theirs")]);
  await store.appendToStream("A-1", [event("ours")], { expectedVersion: "no-stream" });
  await store.sync();
  expect(store.status).toMatchObject({ pending: 0, conflicts: 1 });
  await eventually(() => expect(kept.size).toBe(1));
  await lose(store);
  await expect(store.sync()).rejects.toThrow(CommitsLostError);
  expect(store.status.lost).toEqual({ commits: 1, since: expect.any(String), streamIds: ["A-1"] });
  await store.dismissLoss();
  await eventually(() => expect(kept.size).toBe(0));
});

test("a store without sync has nothing elsewhere: all its events are lost", async () => {
  stubLocalStorage();
  const name = crypto.randomUUID();
  const store = await openStore({ name });
  await appendThree(store);
  await store.close();
  expect(await deleted(name)).toBe(true);
  const again = await openStore({ name });
  expect(again.status.lost).toEqual({ commits: 3, since: null, streamIds: [] });
  await again.dismissLoss();
  expect(again.status.lost).toBeNull();
  await again.close();
});

test.each(["deleteStore", "signOut", "deleteStore of what the browser has lost"])("%s is no loss", async (how) => {
  const kept = stubLocalStorage();
  const [store, other] = [await devices.open("A"), await devices.open("A")];
  await appendThree(store);
  await eventually(() => expect(other.status.pending).toBe(3));
  const name = await nameOf(store);
  if (how === "signOut") await store.signOut({ discard: true });
  else if (how === "deleteStore") await deleteStore(name);
  else {
    await Promise.all([store.close(), other.close()]);
    expect(await deleted(name)).toBe(true);
    await deleteStore(name);
  }
  expect(kept.size).toBe(0);
  const next = await devices.open("A");
  expect(next.status.lost).toBeNull();
  await next.sync();
});

const nothing = (): null => null;
const fails = (name: string) => (): never => {
  throw new DOMException("localStorage", name);
};
const storage = (methods: Partial<Storage>) => () => ({ getItem: nothing, setItem: nothing, removeItem: nothing, ...methods });

test.each<[string, () => unknown]>([
  ["denied", fails("SecurityError")],
  ["null", nothing],
  ["full", storage({ setItem: fails("QuotaExceededError") })],
  ["another's", storage({ getItem: () => "{ not ours" })],
])("localStorage that is %s: the tab's memory tells what is lost under it", async (_, get) => {
  const platform = Object.defineProperty({ indexedDB, IDBKeyRange }, "localStorage", { get });
  const store = await devices.open("A", { platform });
  await appendThree(store);
  await lose(store);
  await expect(store.sync()).rejects.toThrow(CommitsLostError);
  expect(store.status.lost).toMatchObject({ commits: 3 });
});

test("an IndexedDB that an app hands in brings its own localStorage, or none", async () => {
  const kept = stubLocalStorage();
  const store = await devices.open("A", { platform: { indexedDB, IDBKeyRange } });
  await appendThree(store);
  expect(kept.size).toBe(0);
});

test("nobody is shown what another person has lost", async () => {
  stubLocalStorage();
  const [ann, bob] = [await signToken({ sub: "ann" }), await signToken({ sub: "bob" })];
  const store = await devices.open("A", { sync: { token: () => ann } });
  await appendThree(store);
  const name = await nameOf(store);
  await store.close();
  expect(await deleted(name)).toBe(true);
  const next = await devices.open("A", { sync: { token: () => bob } });
  await next.sync();
  expect(next.status.lost).toBeNull();
  await next.close();
  expect(await deleted(name)).toBe(true);
  const again = await devices.open("A", { sync: { token: () => ann } });
  await eventually(() => expect(again.status.lost).toMatchObject({ commits: 3 }));
});

test("a database of an earlier version, which has no id yet, gets one", async () => {
  const store = await devices.open("A");
  await appendThree(store);
  const db = (await connectionOf(store)) as unknown as IDBDatabase;
  await new Promise((resolve) => {
    const tx = db.transaction(["meta"], "readwrite");
    tx.objectStore("meta").delete("identity");
    tx.addEventListener("complete", resolve);
  });
  await store.close();
  const next = await devices.open("A");
  expect(next.status).toMatchObject({ pending: 3, lost: null });
  await lose(next);
  await expect(next.sync()).rejects.toThrow(CommitsLostError);
});
