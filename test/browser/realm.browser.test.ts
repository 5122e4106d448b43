/** An IndexedDB of another realm: that of an iframe, whose classes and errors are not the page's own. */
import { wrap } from "idb";
import { describe, expect, onTestFinished, test } from "vitest";
import { openStore, type Projection, StorageFailedError, StreamNotFoundError } from "../../client/index.ts";
import type { Platform } from "../../client/storage/idb.ts";
import { CASES, filled, library, ours } from "../client/storage/idb-cases.ts";

function frame(): Platform & typeof globalThis {
  const element = document.body.appendChild(document.createElement("iframe"));
  onTestFinished(() => element.remove());
  return element.contentWindow as unknown as typeof globalThis;
}

const noted = (data: number) => ({ type: "Noted", data });

test("a store in an iframe's IndexedDB: appends, reads and rows, and the page's own IndexedDB holds the same", async () => {
  const name = crypto.randomUUID();
  const platform = frame();
  expect(platform.indexedDB).not.toBe(indexedDB);
  const store = await openStore({ name, platform });
  await store.appendToStream("Note-1", [noted(1), noted(2)], { expectedVersion: "no-stream" });
  await store.appendToStream("Note-2", [noted(3)]);
  const sums: Projection<{ sum: number }, { streamId: string; data: number }> = {
    name: "sums",
    version: 1,
    indexes: ["sum"],
    evolve: (row, { data }) => ({ sum: (row?.sum ?? 0) + data }),
  };
  const table = await store.project(sums);
  await table.caughtUp();
  const rows = [
    { key: "Note-1", row: { sum: 3 } },
    { key: "Note-2", row: { sum: 3 } },
  ];
  expect(await table.query({ index: "sum", from: 2, direction: "backwards" })).toEqual(rows.toReversed());
  expect((await store.readStream("Note-1", { direction: "backwards", limit: 1 })).events).toMatchObject([{ data: 2, version: 2 }]);
  await expect(store.readStream("Note-3")).rejects.toBeInstanceOf(StreamNotFoundError);
  await store.close();

  const own = await openStore({ name });
  expect((await own.readStream("Note-1")).version).toBe(2);
  expect(await (await own.project(sums)).query()).toEqual(rows);
  await own.close();
});

test("errors of another realm are typed as those of the page's own", async () => {
  const name = crypto.randomUUID();
  const platform = frame();
  const newer = platform.indexedDB.open(name, 1000);
  await new Promise((resolve) => newer.addEventListener("success", resolve));
  newer.result.close();
  const opening = openStore({ name, platform });
  await expect(opening).rejects.toBeInstanceOf(StorageFailedError);
  const { cause } = (await opening.catch((error: unknown) => error)) as StorageFailedError;
  expect(cause).toMatchObject({ name: "VersionError" });
  expect(cause).not.toBeInstanceOf(DOMException);
});

test("what structured clone keeps has the classes of the realm that reads it; a copy has the page's own", async () => {
  const name = crypto.randomUUID();
  const db = await ours(frame()).open(name, 1);
  const notes = db.transaction("notes", "readwrite").objectStore("notes");
  const value = await notes.get(await notes.put(new Map([["at", new Date(0)]])));
  expect(value).not.toBeInstanceOf(Map);
  expect(structuredClone(value)).toEqual(new Map([["at", new Date(0)]]));
  db.close();
});

test("the library idb hands back what another realm answers as it is", async () => {
  const request = frame().indexedDB.open(crypto.randomUUID(), 1);
  expect(wrap(request)).toBe(request);
  await new Promise((resolve) => request.addEventListener("success", resolve));
  expect(wrap(request.result)).toBe(request.result);
  request.result.close();
});

/** Opened once: it stays as long as the cases run. */
const lasting = document.body.appendChild(document.createElement("iframe")).contentWindow as unknown as Platform;

describe.each([
  ["idb", library()],
  ["ours", ours(globalThis)],
  ["ours, in an iframe", ours(lasting)],
] as const)("%s", (_, subject) => {
  test.each(CASES)("%s", async (_, expected, run) => {
    const db = await filled(subject);
    expect(await run(db, subject)).toEqual(expected);
    db.close();
  });
});
