/**
 * A deletion that breaks off at each of its requests, before the edge gets it or after the edge has answered, while the edge loses its memory.
 * The edge is the one in memory.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { deleteStore } from "../../../cli/delete.ts";
import { type MemoryEdge, openMemoryEdge } from "../../../client/testing/index.ts";
import { createEdge } from "../../../worker/index.ts";
import { type BreakOff, breakingStore } from "./breaking-store.ts";
import { openEdge } from "./open-edge.ts";

const STREAMS = 100;
const handled: number[] = [];

let edge: MemoryEdge;

beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // the progress
  edge = await openMemoryEdge(
    createEdge({ subscriptions: { all: { handle: (events) => void handled.push(...events.map(({ position }) => position)) } } }),
  );
});

afterAll(async () => {
  vi.restoreAllMocks();
  await edge.close();
});

const at = (name: string, onRequest?: BreakOff) => breakingStore(edge, name, onRequest);

async function fill(name: string, streams = STREAMS): Promise<void> {
  const store = at(name);
  for (let from = 0; from < streams; from += 20) {
    const ids = Array.from({ length: 20 }, (_, i) => `A-${from + i}`);
    await store.push(ids.map((id) => store.prepare(id, [{ type: "Noted", data: id }])));
  }
  await edge.settled();
}

const codeOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: { code: string }) => error.code);

test("at any request it may break off, and the same command ends it; the edge goes on by itself as well", async () => {
  for (const broken of [1, 2, 3, 4]) {
    for (const when of ["before", "after"] as const) {
      const name = `broken-${broken}-${when}`;
      await fill(name);
      await deleteStore(
        at(name, (count) => (count === broken ? when : undefined)),
        name,
        { yes: name },
      ).catch(() => undefined);
      const hasBegun = broken > 2 || (broken === 2 && when === "after");
      expect([name, await codeOf(at(name).head())]).toEqual([name, hasBegun ? "store-deleted" : undefined]);
      if (hasBegun && when === "after") {
        await edge.advance(600_000);
        expect(await deleteStore(at(name), name, { yes: name })).toBe(`${name} is deleted. The name stays deleted.`);
      } else {
        expect(await deleteStore(at(name), name, { yes: name })).toContain(`${name} is deleted: `);
      }
      expect([name, await codeOf(at(name).readStream("A-7")), await codeOf(at(name).readStream("B-1"))]).toEqual([
        name,
        "store-deleted",
        "store-deleted",
      ]);
      expect(await codeOf(at(name).appendToStream("A-7", [{ type: "After", data: 1 }]))).toBe("store-deleted");
    }
  }
});

test("its subscriptions handle nothing more, and other stores are as they were", async () => {
  await fill("other", 20);
  await fill("gone", 20);
  handled.length = 0;
  await deleteStore(at("gone"), "gone", { yes: "gone" });
  expect(await codeOf(at("gone").appendToStream("A-1", [{ type: "After", data: 1 }]))).toBe("store-deleted");
  await edge.advance(600_000);
  expect(handled).toEqual([]);
  expect(await at("other").head()).toBe(20);
  expect(await at("other").appendToStream("A-1", [{ type: "After", data: 1 }])).toMatchObject({ version: 2, position: 21 });
  await edge.settled();
  expect(handled).toEqual([21]);
});

test.each(["lost-before", "lost-after"] as const)(
  "streams that can't be reached for a while (%s): it goes on by its alarm",
  async (fate) => {
    const { clock, commit, faults, push, request, platform } = await openEdge();
    const streams = Array.from({ length: 20 }, (_, i) => `A-${i}`);
    await push(...streams.map((streamId) => commit(streamId, 0)));
    const { log } = (await request("/health")).body;
    faults.call = (binding) => (binding === "STREAMS" ? fate : "ok");
    expect((await request(`?log=${log}`, { method: "DELETE" })).status).toBe(503);
    expect((await request("?dryRun=true", { method: "DELETE" })).body).toMatchObject({ state: "deleting", streams: 20, events: 20 });
    faults.call = () => "ok";
    await clock.advance(60_000);
    expect((await request("?dryRun=true", { method: "DELETE" })).body).toMatchObject({ state: "deleted", streams: 0, events: 0 });
    expect((await push(commit("A-1", 1))).status).toBe(410);
    const objects = platform.objects("STREAMS");
    expect(streams.map((streamId) => [...objects.copy(`permits/${streamId}`).values.keys()])).toEqual(streams.map(() => ["!deleted"]));
  },
);

test("a note of the deletion that finds no room deletes nothing", async () => {
  const { commit, faults, feed, push, request } = await openEdge();
  await push(commit("A-1", 0));
  const { log } = (await request("/health")).body;
  faults.isFull = (name) => name === "permits";
  expect((await request(`?log=${log}`, { method: "DELETE" })).status).toBeGreaterThanOrEqual(500);
  faults.isFull = () => false;
  expect(await feed()).toEqual(["#1 A-1@1"]);
  expect((await request(`?log=${log}`, { method: "DELETE" })).body).toMatchObject({ state: "deleted" });
});
