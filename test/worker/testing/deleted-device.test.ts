/** A device whose store an operator has deleted at the edge. The edge is the one in memory. */
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { deleteStore } from "../../../cli/delete.ts";
import { connectStore } from "../../../client/http.ts";
import { openMemoryEdge, openMemoryStore } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { dataOf, event } from "../../support/devices.ts";
import { eventually } from "../../support/eventually.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A device that syncs by itself, and all that it asks the edge for. */
async function open() {
  const edge = await openMemoryEdge(createEdge());
  onTestFinished(() => edge.close());
  const network = edge.network();
  const { url, fetch } = network.to("permits");
  const asked: string[] = [];
  const answer: { instead: (() => Response) | undefined } = { instead: undefined };
  const store = await openMemoryStore({
    sync: {
      url,
      fetch: async (input, init) => {
        asked.push(`${init?.method ?? "GET"} ${new URL(String(input)).pathname}`);
        return answer.instead?.() ?? fetch(input, init);
      },
      webSocket: (address, protocols) => {
        asked.push("WebSocket");
        return network.webSocket(address, protocols);
      },
    },
  });
  onTestFinished(() => store.close());
  const atEdge = connectStore({ url, fetch, retries: 0 });
  return { edge, store, atEdge, asked, answer };
}

const GONE = { connection: "diverged", problem: { code: "store-deleted", remedy: "ask" } };

test("it is told, keeps everything, parks nothing, and asks no more for minutes", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // the progress
  const { store, atEdge, asked } = await open();
  await store.appendToStream("A-1", [event(1), event(2)]);
  await store.sync();
  await eventually(() => expect(asked).toContain("WebSocket"));
  const timers = vi.spyOn(globalThis, "setTimeout");
  await deleteStore(atEdge, "permits", { yes: "permits" });
  // The edge has closed the feed socket.
  await eventually(() => expect(store.status).toMatchObject(GONE));
  expect(store.status.problem?.message).toBe(
    "The store was deleted at the edge and takes nothing more: export what this device has, or use another store.",
  );
  await store.appendToStream("A-1", [event("pending")]);
  await expect(store.sync()).rejects.toMatchObject({ code: "store-deleted" });
  expect(store.status).toMatchObject({ ...GONE, pending: 1, acknowledged: 0, conflicts: 0, lost: null, cursor: { position: 2 } });
  expect(await dataOf(store, "A-1")).toEqual([1, 2, "pending"]);
  const exported = [];
  for await (const one of store.export()) exported.push(one);
  expect(exported).toMatchObject([
    { state: "confirmed", data: 1 },
    { state: "confirmed", data: 2 },
    { state: "pending", streamId: "A-1", events: [{ data: "pending" }] },
  ]);
  // The feed socket tries once more, at the same time as the request that is told.
  await eventually(() => expect(timers.mock.calls.some(([, delay]) => (delay ?? 0) >= 300_000)).toBe(true));
  await store.appendToStream("B-1", [event("pending too")]);
  await eventually(() => expect(store.status.pending).toBe(2));
  expect(asked.filter((one) => one.startsWith("POST"))).toHaveLength(1);
});

test("no feed socket is opened once the edge has said that the store is deleted", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // the progress
  const { store, atEdge, asked } = await open();
  await store.sync();
  await eventually(() => expect(asked).toContain("WebSocket"));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const deleting = deleteStore(atEdge, "permits", { yes: "permits" });
  await vi.advanceTimersByTimeAsync(1_000);
  await deleting;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(store.status).toMatchObject(GONE);
  asked.length = 0;
  await vi.advanceTimersByTimeAsync(280_000);
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(asked).toEqual(["GET /v1/permits/feed"]);
});

test("a stranger's 410 is no word of the edge's: the device is offline, and goes on when the edge answers", async () => {
  const { store, asked, answer } = await open();
  await store.sync();
  answer.instead = () => new Response("<title>Gone</title>", { status: 410, headers: { "content-type": "text/html" } });
  await store.appendToStream("A-1", [event("kept")]);
  await eventually(() => expect(store.status).toMatchObject({ problem: { code: "unavailable" }, pending: 1, conflicts: 0 }));
  await expect(store.sync()).rejects.toMatchObject({ code: "unavailable" });
  // Another API's, whose code is one of ours by chance, and which does not repeat the status.
  answer.instead = () => Response.json({ code: "store-deleted" }, { status: 410 });
  await expect(store.sync()).rejects.toMatchObject({ code: "unavailable" });
  expect(store.status.connection).not.toBe("diverged");
  answer.instead = undefined;
  await store.sync();
  expect(store.status).toMatchObject({ connection: "online", problem: null, pending: 0 });
  expect(asked.length).toBeGreaterThan(0);
});

test("a device that follows nothing yet is told as well, and so is a caller over HTTP", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // the progress
  const { store, atEdge } = await open();
  await deleteStore(atEdge, "permits", { yes: "permits" });
  await store.appendToStream("A-1", [event("mine")]);
  await expect(store.sync()).rejects.toMatchObject({ code: "store-deleted" });
  expect(store.status).toMatchObject({ ...GONE, pending: 1, conflicts: 0 });
  const gone = { code: "store-deleted" };
  await expect(atEdge.appendToStream("A-1", [event()])).rejects.toMatchObject(gone);
  await expect(atEdge.readStream("A-1")).rejects.toMatchObject(gone);
  await expect(atEdge.push([atEdge.prepare("A-1", [event()])])).rejects.toMatchObject(gone);
  await expect(atEdge.listStreams()).rejects.toMatchObject(gone);
  await expect(atEdge.tail().next()).rejects.toMatchObject(gone);
  await expect(atEdge.readAll().next()).rejects.toMatchObject(gone);
});
