/** Where a stream's events are in the log: what its object asks the log for after a wake, and what the log reads for that. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { runsOf } from "../log/published.ts";
import { rowsReadBy } from "../log/rows-read.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A stream whose events stand two positions apart, each in a row of its own. */
async function filled(length: number): Promise<{ readonly store: TestStore; readonly events: readonly object[] }> {
  const store = newStore();
  const events = Array.from({ length }, () => event());
  for (const [i, given] of events.entries()) {
    await store.append("A-1", i, given);
    await store.append("B-1", i, event());
  }
  return { store, events };
}

async function positions(store: TestStore, query: string): Promise<(number | null)[]> {
  const { body } = await store.request(`/streams/A-1${query}`);
  return body.events.map(({ position }) => position);
}

test("a page of a stream has its positions after a wake, and the log reads as much for it in a long stream as in a short one", async () => {
  const reads: number[][] = [];
  for (const length of [20, 200]) {
    const { store, events } = await filled(length);
    const read = async (query: string, wanted: readonly number[]) => {
      await evictDurableObject(store.stream("A-1"));
      return rowsReadBy(store, async () => expect(await positions(store, query)).toEqual(wanted));
    };
    const backwards = [length, length - 1, length - 2].map((version) => 2 * version - 1);
    const again = async () => {
      await evictDurableObject(store.stream("A-1"));
      return rowsReadBy(store, async () => {
        expect((await store.append("A-1", 2, events[2] ?? {})).body).toMatchObject({ version: 3, position: 5, duplicate: true });
      });
    };
    reads.push([await read("?limit=3", [1, 3, 5]), await read("?direction=backwards&limit=3", backwards), await again()]);
  }
  expect(reads[1]).toEqual(reads[0]);
});

test("pages that are read one after the other have their positions, and what is known is not asked for again", async () => {
  const { store } = await filled(6);
  await evictDurableObject(store.stream("A-1"));
  expect(await positions(store, "?from=3&limit=2")).toEqual([5, 7]);
  expect(await positions(store, "?limit=4")).toEqual([1, 3, 5, 7]);
  expect(await positions(store, "?from=5")).toEqual([9, 11]);
  expect(await rowsReadBy(store, async () => expect(await positions(store, "")).toEqual([1, 3, 5, 7, 9, 11]))).toBe(0);
});

test("a run that is published again is compared with its own rows, and not with those behind it", async () => {
  const reads: number[] = [];
  for (const length of [20, 200]) {
    const store = newStore();
    const runs = runsOf(Array.from({ length }, () => ({ streamId: "A-1", size: 1 })));
    await store.log().publish(runs);
    reads.push(
      await rowsReadBy(store, async () => {
        const { answers } = await store.log().publish(runs.slice(0, 1));
        expect(answers).toMatchObject([{ kind: "published", spans: [{ firstVersion: 1, lastVersion: 1, firstPosition: 1 }] }]);
      }),
    );
  }
  expect(reads[1]).toBe(reads[0]);
});
