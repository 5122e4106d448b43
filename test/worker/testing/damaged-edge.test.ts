/** Devices before an edge whose storage was changed, or put back to an older copy. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openStore, type Store } from "../../../client/index.ts";
import { type MemoryEdge, openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { dataOf, event } from "../../support/devices.ts";

/** The storage of each object, by its name. */
const storages = new Map<string, DurableObjectStorage>();
const opened: Store[] = [];
let edge: MemoryEdge;
let name: string;

beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { StreamObject, LogObject, ...parts } = createEdge();
  class OpenStream extends StreamObject {
    constructor(...given: ConstructorParameters<typeof StreamObject>) {
      super(...given);
      storages.set(given[0].id.name ?? "", given[0].storage);
    }
  }
  class OpenLog extends LogObject {
    constructor(...given: ConstructorParameters<typeof LogObject>) {
      super(...given);
      storages.set(given[0].id.name ?? "", given[0].storage);
    }
  }
  edge = await openMemoryEdge({ ...parts, StreamObject: OpenStream, LogObject: OpenLog });
  name = crypto.randomUUID();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await edge.close();
});

async function device(filter?: { categories: string[] }): Promise<Store> {
  const sync = { ...edge.network().to(name), automatic: false, ...(filter && { filter }) };
  const store = await openStore({ name: crypto.randomUUID(), sync });
  opened.push(store);
  return store;
}

function storageOf(object: string): DurableObjectStorage {
  const storage = storages.get(object);
  if (storage === undefined) throw new Error(`there is no object ${object}`);
  return storage;
}

/** @returns what puts it forward again */
async function putStreamBack(streamId: string, version: number): Promise<() => Promise<void>> {
  const { kv } = storageOf(`${name}/${streamId}`);
  const lost = Array.from(kv.list()).filter(([key]) => Number(key) > version);
  for (const [key] of lost) kv.delete(key);
  await restart();
  return async () => {
    const { kv: now } = storageOf(`${name}/${streamId}`);
    for (const [key] of Array.from(now.list())) if (Number(key) > version) now.delete(key);
    for (const [key, value] of lost) now.put(key, value);
    await restart();
  };
}

async function changeLog(from: string, to: string): Promise<void> {
  storageOf(name).sql.exec("UPDATE runs SET events = replace(events, ?, ?)", from, to);
  await restart();
}

/** Once the objects have stored what was changed. */
async function restart(): Promise<void> {
  await edge.settled();
  edge.restart();
}

test("a stream that was put back: its commits wait, with the reason in the status, others go, and none is parked", async () => {
  const a = await device();
  for (const n of [1, 2, 3]) {
    await a.appendToStream("A-1", [event(n)]);
    await a.sync();
  }
  const repair = await putStreamBack("A-1", 1);
  await a.appendToStream("A-1", [event(4)]);
  await a.appendToStream("B-1", [event("b")]);
  await expect(a.sync()).rejects.toMatchObject({ code: "stream-diverged", details: { streamId: "A-1" } });
  await expect(a.sync()).rejects.toMatchObject({ code: "stream-diverged" });
  expect(a.status).toMatchObject({ connection: "online", pending: 1, conflicts: 0, problem: { code: "stream-diverged" } });
  expect(a.status.problem?.message).toMatch(/^A-1: the stream and the store's log hold different events from version \d on\./);
  expect(await dataOf(a, "A-1")).toEqual([1, 2, 3, 4]);
  const b = await device();
  await b.sync();
  expect([await dataOf(b, "A-1"), await dataOf(b, "B-1")]).toEqual([[1, 2, 3], ["b"]]);
  await repair();
  await a.sync();
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0, problem: null });
  await b.sync();
  expect(await dataOf(b, "A-1")).toEqual([1, 2, 3, 4]);
});

test.each([
  ["everything", undefined],
  ["a part", { categories: ["A"] }],
] as const)(
  "a damaged row of the log: a device that follows %s gets all before it, and the status says where it ends",
  async (_, filter) => {
    const a = await device();
    for (const n of [1, 2, 3]) {
      await a.appendToStream("A-1", [event(`kept ${n}`)]);
      await a.sync();
    }
    await a.appendToStream("B-1", [event("b")]);
    await a.sync();
    await changeLog("kept 2", "kfpt 2");
    const b = await device(filter && { categories: [...filter.categories] });
    await expect(b.sync()).rejects.toMatchObject({ code: "storage-damaged", details: { position: 2 } });
    expect(b.status).toMatchObject({
      connection: "offline",
      problem: { code: "storage-damaged", details: { position: 2 } },
      cursor: { position: 1 },
    });
    expect(b.status.problem?.message).toContain("damaged at position 2:");
    expect(await dataOf(b, "A-1")).toEqual(["kept 1"]);
    await changeLog("kfpt 2", "kept 2");
    await b.sync();
    expect(b.status).toMatchObject({ connection: "online", problem: null });
    expect(await dataOf(b, "A-1")).toEqual(["kept 1", "kept 2", "kept 3"]);
  },
);

test("a page that is changed on its way is not applied", async () => {
  const a = await device();
  await a.appendToStream("A-1", [event("kept")]);
  await a.sync();
  let isChanged = true;
  const network = edge.network().to(name);
  const fetch: typeof globalThis.fetch = async (...request) => {
    const response = await network.fetch(...request);
    return isChanged ? new Response((await response.text()).replace("kept", "kfpt"), response) : response;
  };
  const b = await openStore({ name: crypto.randomUUID(), sync: { ...network, fetch, automatic: false } });
  opened.push(b);
  await expect(b.sync()).rejects.toMatchObject({ code: "storage-damaged", details: { position: 1 } });
  expect(b.status).toMatchObject({ problem: { code: "storage-damaged" }, cursor: null });
  isChanged = false;
  await b.sync();
  expect(await dataOf(b, "A-1")).toEqual(["kept"]);
});
