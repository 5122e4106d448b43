/** Several tabs of one device: one syncs, a former leader is fenced, and all tabs show the same status. */
import "fake-indexeddb/auto";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { connectStore } from "../../../client/http.ts";
import { openStore, type Status, type Store, type SyncOptions } from "../../../client/index.ts";
import { type EdgeProcess, startEdge } from "../../support/edge.ts";
import { idOfDatabase } from "../storage/dead-connections.ts";

let edge: EdgeProcess;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const event = (data: unknown = null, type = "Noted") => ({ type, data });

/** A device whose tabs are opened one after the other, each with a count of its requests. */
function device() {
  const id = crypto.randomUUID();
  const url = `${edge.url}/v1/${id}`;
  const tabs: Store[] = [];
  async function open(options: Partial<SyncOptions> = {}) {
    const requests: string[] = [];
    const counting: typeof fetch = (input, init) => {
      requests.push(init?.method ?? "GET");
      return fetch(input, init);
    };
    const tab = await openStore({ name: id, sync: { url, fetch: counting, ...options } });
    tabs.push(tab);
    return { tab, requests };
  }
  return { url, open, atEdge: connectStore({ url }), close: () => Promise.all(tabs.map((tab) => tab.close())) };
}

function reaches(tab: Store, wanted: Partial<Status>, timeout = 20_000): Promise<void> {
  return expect.poll(() => tab.status, { timeout, interval: 20 }).toMatchObject(wanted);
}

test("what any tab appends is pushed by the one that leads, without anybody asking, and all tabs know", async () => {
  const { open, atEdge, close } = device();
  const { tab: one, requests: ones } = await open();
  await reaches(one, { connection: "online" });
  const { tab: two, requests: twos } = await open();
  const seen: Status[] = [];
  const off = two.liveStatus().subscribe((status) => seen.push(status));
  await two.appendToStream("A-1", [event("from two")]);
  await one.appendToStream("A-1", [event("from one")]);
  for (const tab of [one, two]) await reaches(tab, { connection: "online", pending: 0, head: 2 });
  expect((await atEdge.readStream("A-1")).events.map(({ data }) => data)).toEqual(["from two", "from one"]);
  expect((await two.readStream("A-1")).events.every(({ pending }) => !pending)).toBe(true);
  expect(ones).toContain("POST");
  expect(twos).toEqual([]);
  expect(seen.some(({ pending }) => pending > 0)).toBe(true);
  off();
  await close();
});

test("sync() of a tab that does not lead is done by the one that does", async () => {
  const { open, atEdge, close } = device();
  const { tab: one } = await open();
  await reaches(one, { connection: "online" });
  const { tab: two, requests } = await open();
  await atEdge.appendToStream("A-1", [event("theirs")]);
  await two.sync();
  expect((await two.readStream("A-1")).events.map(({ data }) => data)).toEqual(["theirs"]);
  expect(two.status).toMatchObject({ connection: "online", head: 1 });
  expect(requests).toEqual([]);
  await close();
});

test("leader closed: another tab takes over, and what is pending goes on", async () => {
  const { open, atEdge, close } = device();
  let isDown = true;
  const { tab: one } = await open({ fetch: () => Promise.reject(new TypeError("no network")) });
  await reaches(one, { connection: "offline" });
  const { tab: two } = await open({ fetch: (...request) => (isDown ? Promise.reject(new TypeError("no network")) : fetch(...request)) });
  await one.appendToStream("A-1", [event("left behind")]);
  await one.close();
  await reaches(two, { pending: 1 });
  isDown = false;
  await two.sync();
  expect(two.status).toMatchObject({ connection: "online", pending: 0 });
  expect((await atEdge.readStream("A-1")).events.map(({ data }) => data)).toEqual(["left behind"]);
  await close();
});

test("a leader's late answer after another tab has led: the write is not done, and nothing of it is lost or twice", async () => {
  const { open, atEdge, close } = device();
  let letGo = (_: Response) => {};
  let answer: Response | undefined;
  // The first tab asks for a page and its answer is held back, as by a tab that is frozen.
  const held: typeof fetch = async (...request) => {
    answer ??= await fetch(...request);
    return new Promise((resolve) => {
      letGo = resolve;
    });
  };
  await atEdge.appendToStream("A-1", [event(1)]);
  const { tab: one } = await open({ fetch: held });
  await expect.poll(() => answer).toBeDefined();
  const { tab: two } = await open();
  // Nobody else can take the lock here, so the second tab does what a thief does.
  await two.reset();
  letGo((answer as Response).clone());
  await Promise.all([one.close(), two.sync()]);
  expect((await two.readStream("A-1")).events.map(({ data }) => data)).toEqual([1]);
  expect(two.status).toMatchObject({ connection: "online", cursor: { position: 1 } });
  await close();
});

test("without BroadcastChannel tabs still take turns, and see in the database what the others did", async () => {
  vi.stubGlobal("BroadcastChannel", undefined);
  const { open, atEdge, close } = device();
  const { tab: one } = await open();
  const { tab: two } = await open();
  await two.appendToStream("A-1", [event("two")]);
  await two.sync();
  await one.appendToStream("A-1", [event("one")]);
  await one.sync();
  await two.sync();
  expect((await atEdge.readStream("A-1")).events.map(({ data }) => data)).toEqual(["two", "one"]);
  for (const tab of [one, two]) expect((await tab.readStream("A-1")).events.map(({ data }) => data)).toEqual(["two", "one"]);
  await close();
});

test("a tab that only syncs when asked sends nothing otherwise", async () => {
  const { open, atEdge, close } = device();
  const { tab, requests } = await open({ automatic: false });
  await tab.appendToStream("A-1", [event(1)]);
  await tab.appendToStream("A-1", [event(2)]);
  expect(tab.status).toMatchObject({ connection: "offline", pending: 2 });
  expect(requests).toEqual([]);
  await tab.sync();
  expect(tab.status).toMatchObject({ connection: "online", pending: 0 });
  expect((await atEdge.readStream("A-1")).version).toBe(2);
  await close();
});

test("a tab that wakes asks the leader for its connection: it may have missed messages while it was frozen", async () => {
  const document = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal("document", document);
  const { url, open, close } = device();
  const { tab: one } = await open();
  await reaches(one, { connection: "online" });
  const { tab: two } = await open();
  await reaches(two, { connection: "online" });
  // As it was when the tab froze.
  const name = url.split("/").at(-1) ?? "";
  const channel = new BroadcastChannel(`headwater:${name}`);
  const asItWas = { connection: "offline", acknowledged: 0, progress: null };
  channel.postMessage({ kind: "connection", database: await idOfDatabase(name), link: asItWas, problem: null });
  channel.close();
  await reaches(two, { connection: "offline" });
  document.hidden = true;
  document.dispatchEvent(new Event("visibilitychange"));
  document.hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  await reaches(two, { connection: "online" });
  expect(one.status.connection).toBe("online");
  await close();
});

test("a tab opens with another filter: the leader fetches what it adds at once, and long before it polls", async () => {
  const { open, atEdge, close } = device();
  await atEdge.appendToStream("A-1", [event("a")]);
  await atEdge.appendToStream("B-1", [event("b")]);
  const { tab: one } = await open({ filter: { categories: ["A"] }, pollEvery: 3_600_000 });
  await reaches(one, { connection: "online", head: 2 });
  const { tab: two, requests } = await open({ filter: { categories: ["A", "B"] }, pollEvery: 3_600_000 });
  const held = async () => (await two.readStream("B-1").catch(() => undefined))?.events.map(({ data }) => data);
  await expect.poll(held, { timeout: 20_000 }).toEqual(["b"]);
  expect(requests).toEqual([]);
  await close();
});
