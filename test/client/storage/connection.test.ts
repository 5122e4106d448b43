/** Connections that the browser closes: work is done once more on a new one, and nothing twice. */
import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openStore, StorageFailedError } from "../../../client/index.ts";
import { dataOf, event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { problem } from "../../support/problem.ts";
import {
  aborted,
  abortedAfter,
  abortOpens,
  connectionOf,
  DEATHS,
  deleted,
  dieAfter,
  dieOnce,
  holdOpens,
  lostAfterCommit,
} from "./dead-connections.ts";

const { devices } = edgeDevices();
// Chromium alone has it, and a log that is renewed.
beforeEach(() => void Object.defineProperty(IDBVersionChangeEvent.prototype, "dataLoss", { configurable: true, value: "none" }));
afterEach(() => {
  Reflect.deleteProperty(IDBVersionChangeEvent.prototype, "dataLoss");
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const nowhere = { url: "http://127.0.0.1:9/v1/nowhere", automatic: false };
const open = (name: string = crypto.randomUUID()) => openStore({ name, sync: nowhere });

/** The names of as many opens: the browser's log is renewed before each. */
const opensOf = (name: string, count: number) => Array.from({ length: count }, () => [`${name}~`, name]).flat();

test("a browser without such a log opens the store, and nothing before it", async () => {
  Reflect.deleteProperty(IDBVersionChangeEvent.prototype, "dataLoss");
  const name = crypto.randomUUID();
  const opened = abortOpens(name, 0);
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  expect(opened).toEqual([name]);
  await store.close();
});

test.each(DEATHS)("a transaction %s: its append is done once, and resolves", async (_, death) => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const opened = abortOpens(name, 0);
  // Decided on what the tab remembers, then on what it reads, then with ids that it looks for.
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2, duplicate: false });
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(3)], { expectedVersion: 2 })).toMatchObject({ version: 3 });
  dieOnce(death);
  const ids = [crypto.randomUUID(), crypto.randomUUID()].map((id) => ({ ...event(id), id }));
  expect(await store.appendToStream("A-1", ids, { expectedVersion: 3 })).toMatchObject({ version: 5 });
  // Several in one transaction.
  dieOnce(death);
  const group = await Promise.all([6, 7, 8].map((n) => store.appendToStream(n === 7 ? "A-2" : "A-1", [event(n)])));
  expect(group.map(({ version }) => version)).toEqual([6, 1, 7]);
  expect(await dataOf(store, "A-1")).toEqual([1, 2, 3, ...ids.map(({ id }) => id), 6, 8]);
  expect(await dataOf(store, "A-2")).toEqual([7]);
  await expect.poll(() => store.status.pending).toBe(7);
  expect(opened).toEqual(opensOf(name, 4));
  expect(await store.appendToStream("A-1", [event(9)], { expectedVersion: 7 })).toMatchObject({ version: 8 });
  await store.close();
  expect(await deleted(name)).toBe(true);
});

test.each(DEATHS)("a transaction %s: a store that orders its events itself records them once", async (_, death) => {
  const store = await openStore({ name: crypto.randomUUID() });
  await store.appendToStream("A-1", [event(1)]);
  dieOnce(death);
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2, position: 2 });
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  await store.close();
});

test.each(DEATHS)("a transaction %s: reads, and all that sync writes, are done once more", async (_, death) => {
  // An edge that takes no commit of this kind.
  const choosy: typeof fetch = (input, init) =>
    String(init?.body).includes('"never"') ? Promise.resolve(problem("payload-too-large")) : fetch(input, init);
  const a = await devices.open("A", { sync: { fetch: choosy } });
  let transactions = 0;
  for (let isDone = false; !isDone; transactions++) {
    await devices.atEdge.appendToStream("A-1", [event(`edge ${transactions}`)]);
    await a.appendToStream("A-1", [event(`device ${transactions}`)]);
    await a.appendToStream(`B-${transactions}`, [event("never")]);
    const seen = dieAfter(death, transactions, () => true);
    await a.sync();
    isDone = seen() <= transactions;
    vi.restoreAllMocks();
    expect(a.status, `transaction ${transactions}`).toMatchObject({ pending: 0, conflicts: transactions + 1, problem: null });
  }
  expect(transactions).toBeGreaterThan(5);
  dieAfter(death, 0, (mode) => mode === "readonly");
  expect(await dataOf(a, "A-1")).toHaveLength(2 * transactions);
  await expectAgreement("A-1", devices.atEdge, a);
});

test("a transaction that is aborted between its requests: nothing of it is an unhandled rejection, on which Vitest fails", async () => {
  const a = await devices.open("A");
  for (let turns = 0; turns < 10; turns++) {
    await devices.atEdge.appendToStream("A-1", [event(`edge ${turns}`)]);
    await a.appendToStream("A-1", [event(`device ${turns}`)]);
    dieAfter(abortedAfter(turns), 0, (mode, stores) => mode === "readwrite" && stores.contains("parked"));
    await a.sync();
    dieOnce(abortedAfter(turns));
    await a.reset();
  }
  await a.sync();
  await expectAgreement("A-1", devices.atEdge, a);
});

test("a conflict whose end was committed, and reported as lost, is resolved", async () => {
  const [a, b] = [await devices.open("A"), await devices.open("B")];
  const held = ["A"];
  await a.appendToStream("A-1", [event("A")]);
  for (const device of [a, b]) await device.sync();
  for (const end of ["rebase", "discard"] as const) {
    await b.appendToStream("A-1", [event(end)], { expectedVersion: held.length });
    await a.appendToStream("A-1", [event(`before ${end}`)]);
    held.push(`before ${end}`);
    for (const device of [a, b]) await device.sync();
    expect(b.conflicts()).toHaveLength(1);
    dieOnce(lostAfterCommit);
    await b.conflicts()[0]?.[end]();
    if (end === "rebase") held.push(end);
    expect(b.conflicts()).toEqual([]);
    expect(await dataOf(b, "A-1")).toEqual(held);
    for (const device of [b, a]) await device.sync();
  }
  await expectAgreement("A-1", devices.atEdge, a, b);
});

test.each([1, 5])(
  "an open that the browser aborts, %i times in a row, is tried again: of a store, and after a lost connection",
  async (times) => {
    const name = crypto.randomUUID();
    const atStart = abortOpens(name, times);
    const store = await open(name);
    expect(atStart).toEqual(opensOf(name, times + 1));
    await store.appendToStream("A-1", [event(1)]);
    vi.restoreAllMocks();
    const later = abortOpens(name, times);
    dieOnce(aborted);
    expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
    expect(later).toEqual(opensOf(name, times + 1));
    expect(await dataOf(store, "A-1")).toEqual([1, 2]);
    await store.close();
  },
);

test("an open that the browser always aborts rejects with a typed error, and works as soon as the browser opens it", async () => {
  const name = crypto.randomUUID();
  const atStart = abortOpens(name, Number.POSITIVE_INFINITY);
  await expect(open(name)).rejects.toMatchObject({ code: "storage-failed", message: "The connection was closed." });
  expect(atStart).toEqual(opensOf(name, 6));
  vi.restoreAllMocks();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const later = abortOpens(name, Number.POSITIVE_INFINITY);
  dieOnce(aborted);
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toBeInstanceOf(StorageFailedError);
  await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StorageFailedError);
  expect(later).toEqual(opensOf(name, 12));
  vi.restoreAllMocks();
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  // Closing does not say once more why it could not be opened.
  abortOpens(name, Number.POSITIVE_INFINITY);
  forceCloseDatabase(await connectionOf(store));
  const lost = store.readStream("A-1");
  await Promise.all([expect(lost).rejects.toBeInstanceOf(StorageFailedError), store.close()]);
});

test("a disk that is full, as Chromium on LevelDB says it: one error for it, also while the database can't be opened again", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const opened = abortOpens(name, Number.POSITIVE_INFINITY);
  dieOnce((tx) => {
    const reason =
      "Connection is closing because of: IO error: 000004.log: FILE_ERROR_NO_SPACE (ChromeMethodBFE: 3::WritableFileAppend::8)";
    Object.defineProperty(tx, "error", { get: () => new DOMException(reason, "UnknownError"), set: () => undefined });
    aborted(tx);
  });
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toMatchObject({ code: "store-full" });
  // Nothing is opened again for it, and what needs that next says the same.
  expect(opened).toEqual([]);
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toMatchObject({ code: "store-full" });
  vi.restoreAllMocks();
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  abortOpens(name, Number.POSITIVE_INFINITY);
  dieOnce(aborted);
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toMatchObject({ code: "storage-failed" });
  vi.restoreAllMocks();
  await store.close();
});

test("a connection that reports its end late does not take the new one along", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  const old = await connectionOf(store);
  dieOnce(aborted);
  await store.appendToStream("A-1", [event(2)]);
  const opened = abortOpens(name, 0);
  const reported = new Promise((resolve) => (old as unknown as IDBDatabase).addEventListener("close", resolve));
  forceCloseDatabase(old);
  await reported;
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  expect(opened).toEqual([]);
  await store.close();
  expect(await deleted(name)).toBe(true);
});

test("a database that was deleted while nothing was under way: nothing that the tab remembers of it counts", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  for (const n of [1, 2]) await store.appendToStream("A-1", [event(n)]);
  forceCloseDatabase(await connectionOf(store));
  expect(await deleted(name)).toBe(true);
  const other = await open(name);
  await other.appendToStream("B-1", [event(1)]);
  await other.appendToStream("B-1", [event(2)]);
  // The number of the outbox that this one is given is the next one after the tab's own last.
  expect(await store.appendToStream("A-1", [event(3)])).toMatchObject({ version: 1 });
  expect(await dataOf(store, "A-1")).toEqual([3]);
  await expect.poll(() => store.status.pending).toBe(3);
  await other.close();
  forceCloseDatabase(await connectionOf(store));
  expect(await deleted(name)).toBe(true);
  await expect(store.readStream("A-1")).rejects.toMatchObject({ code: "stream-not-found" });
  await expect.poll(() => store.status.pending).toBe(0);
  await store.close();
});

test("an append that was committed, and reported as lost, is pushed at once", async () => {
  const a = await devices.open("A", { sync: { automatic: true, pollEvery: 60_000 } });
  await expect.poll(() => a.status.connection).toBe("online");
  await a.sync();
  dieOnce(lostAfterCommit);
  await a.appendToStream("A-1", [event(1)]);
  await expect.poll(async () => (await devices.atEdge.health()).head, { timeout: 5_000 }).toBe(1);
});

test("a database that was deleted under a session: what is appended then is pushed, whatever the session still waited for", async () => {
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const slow: typeof fetch = async (input, init) => {
    if (isHeld && init?.method !== "POST") await held.promise;
    return fetch(input, init);
  };
  const a = await devices.open("A", { sync: { automatic: true, fetch: slow, pollEvery: 60_000 } });
  await expect.poll(() => a.status.connection).toBe("online");
  isHeld = true;
  await a.appendToStream("A-1", [event(1)]);
  await expect.poll(() => a.status.acknowledged).toBe(1);
  const db = await connectionOf(a);
  forceCloseDatabase(db);
  expect(await deleted((db as unknown as IDBDatabase).name)).toBe(true);
  // Its number in the outbox is that of the one before.
  await a.appendToStream("B-1", [event(2)]);
  isHeld = false;
  held.resolve();
  // A session that goes on waiting for the one before gives up after five seconds.
  await expect.poll(async () => (await devices.atEdge.health()).head, { timeout: 4_000 }).toBe(2);
  await a.sync();
  for (const id of ["A-1", "B-1"]) await expectAgreement(id, devices.atEdge, a);
});

test("a connection that stays lost rejects with a typed error, and comes back when the browser lets it", async () => {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  let isLost = true;
  let begun = 0;
  const { transaction } = IDBDatabase.prototype;
  vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, ...given) {
    if (this.name !== name || !isLost) return transaction.apply(this, given);
    begun++;
    throw new DOMException("The database connection is closing.", "InvalidStateError");
  });
  await expect(store.appendToStream("A-1", [event("lost")])).rejects.toBeInstanceOf(StorageFailedError);
  await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StorageFailedError);
  // The append once, and the look at the database's identity four times: each open is tried twice.
  expect(begun).toBe(5);
  isLost = false;
  expect(await store.appendToStream("A-1", [event(2)], { expectedVersion: 1 })).toMatchObject({ version: 2 });
  await store.close();
});

/** A store that was made before, while the clock stands still. */
async function made(): Promise<string> {
  const name = crypto.randomUUID();
  const store = await open(name);
  await store.appendToStream("A-1", [event(1)]);
  await store.close();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  return name;
}

test("an open that the browser does not answer is given up after half a minute, and says what to do", async () => {
  const name = await made();
  const opens = holdOpens(name);
  const opening = open(name);
  const refused = expect(opening).rejects.toMatchObject({
    code: "storage-failed",
    message: expect.stringContaining("Close other tabs"),
  });
  await expect.poll(opens.isHolding).toBe(true);
  await vi.advanceTimersByTimeAsync(30_000);
  await refused;
  expect(vi.getTimerCount()).toBe(0);
  // What opens after all is closed: it would hold up others.
  await opens.goOn();
  expect(await deleted(name)).toBe(true);
});

test("an open that is slow is waited for", async () => {
  const name = await made();
  const opens = holdOpens(name);
  const opening = open(name);
  await expect.poll(opens.isHolding).toBe(true);
  await vi.advanceTimersByTimeAsync(29_000);
  await opens.goOn();
  const store = await opening;
  expect(vi.getTimerCount()).toBe(0);
  expect(await dataOf(store, "A-1")).toEqual([1]);
  await store.close();
});

test("a tab that is stopped in a transaction: others' appends are given up after half a minute, and nothing is there twice when it goes on", async () => {
  const name = await made();
  const store = await open(name);
  const stopped = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
  });
  let isStopped = true;
  const held = stopped.transaction(["events", "meta"], "readwrite");
  const hold = () => {
    if (isStopped) held.objectStore("meta").get("history").onsuccess = hold;
  };
  hold();
  const appended = store.appendToStream("A-1", [event("given up")]);
  const refused = expect(appended).rejects.toMatchObject({ code: "storage-failed", message: expect.stringContaining("Close other tabs") });
  await vi.advanceTimersByTimeAsync(29_000);
  expect(store.status.problem).toBeNull();
  await vi.advanceTimersByTimeAsync(1_000);
  await refused;
  expect(store.status.problem).toMatchObject({ code: "storage-failed", message: expect.stringContaining("Another tab") });
  const again = store.appendToStream("A-1", [event(2)]);
  isStopped = false;
  expect(await again).toMatchObject({ version: 2 });
  expect(store.status.problem).toBeNull();
  expect(await dataOf(store, "A-1")).toEqual([1, 2]);
  expect(vi.getTimerCount()).toBe(0);
  stopped.close();
  await store.close();
});

test("a new log that the browser does not begin, because a frozen tab holds what is deleted for it, is not waited for", async () => {
  const name = await made();
  const frozen = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(`${name}~`);
    request.onsuccess = () => resolve(request.result);
  });
  const opening = open(name);
  await expect.poll(() => vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(5_000);
  const store = await opening;
  expect(await dataOf(store, "A-1")).toEqual([1]);
  await store.close();
  frozen.close();
});
