/** What is counted beside the database, and kept in localStorage. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Database } from "../../../client/storage/database.ts";

const kept = new Map<string, string>();

beforeEach(() => {
  kept.clear();
  const methods: Pick<Storage, "getItem" | "setItem" | "removeItem"> = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  };
  vi.stubGlobal("localStorage", methods);
});
afterEach(() => vi.unstubAllGlobals());

async function opened(name: string): Promise<Database> {
  const database = new Database(name, globalThis, { authority: "edge" }, { onEnded: () => undefined, onReopened: () => undefined });
  await database.run(async () => undefined);
  return database;
}

const counts = (name: string) => JSON.parse(kept.get(`headwater:${name}`) ?? "[]");

test("a count that is 0 for a moment keeps its streams; one that begins anew does not", async () => {
  const database = await opened("moment");
  const { tally } = database;
  tally.recount({ since: "2026-01-01T00:00:00.000Z", streamIds: ["A-1"] });
  for (const commits of [2, 0, 1]) tally.count(commits);
  await database.close();
  expect(counts("moment")).toMatchObject([{ commits: 1, since: "2026-01-01T00:00:00.000Z", streamIds: ["A-1"] }]);
  const again = await opened("moment");
  again.tally.recount({ since: "2026-01-01T00:00:00.000Z", streamIds: ["A-1"] });
  again.tally.count(0);
  again.tally.appended(["B-1"]);
  again.tally.count(1);
  await again.close();
  expect(counts("moment")).toMatchObject([{ commits: 1, streamIds: ["B-1"] }]);
});

test("a tab that has not heard of another tab's commit leaves its count alone", async () => {
  const [a, b] = [await opened("two"), await opened("two")];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  for (const { tally } of [a, b]) {
    tally.recount({ since: null, streamIds: [] });
    tally.count(0);
  }
  vi.advanceTimersByTime(50);
  a.tally.appended(["A-1"]);
  a.tally.count(1);
  vi.advanceTimersByTime(50);
  const text = kept.get("headwater:two");
  expect(counts("two")).toMatchObject([{ commits: 1, streamIds: ["A-1"] }]);
  // Something else has changed in its status.
  b.tally.count(0);
  vi.advanceTimersByTime(50);
  expect(kept.get("headwater:two")).toBe(text);
  vi.useRealTimers();
  for (const database of [a, b]) await database.close();
});
