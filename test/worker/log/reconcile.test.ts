/** The log is repaired from the streams: each event comes to the position that it had, as far as the marks prove it. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { damageLog, damageStream, flipped, loseRow, putStreamBack } from "../damage.ts";
import { event, newStore, type TestStore } from "../edge-calls.ts";
import { type Damages, damagedBy, filled, historyOf, reconcileLog, reconcileStream } from "../reconciled.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Changes columns of the row that ends at a position. */
async function misplace(store: TestStore, lastPosition: number, columns: string): Promise<void> {
  await runInDurableObject<DurableObject, void>(store.log(), (_, { storage: { sql } }) => {
    sql.exec(`UPDATE runs SET ${columns} WHERE last_position = ?`, lastPosition);
  });
  await evictDurableObject(store.log());
}

const DAMAGES: Damages = {
  "a letter of a row": [(store) => damageLog(store, 5, flipped), 4, 5],
  "the first row": [(store) => damageLog(store, 2, flipped), 1, 2],
  "the last row": [(store) => damageLog(store, 9, flipped), 9, 9],
  "a row that was cut": [(store) => damageLog(store, 5, (events) => events.slice(0, -40)), 4, 5],
  "a row that is empty": [(store) => damageLog(store, 5, () => ""), 4, 5],
  "a row that is missing": [(store) => loseRow(store, 5), 4, 5],
  "the first row of a stream, missing": [(store) => loseRow(store, 3), 3, 3],
  "the first row, missing": [(store) => loseRow(store, 2), 1, 2],
  "a stream's id in a row": [(store) => misplace(store, 5, "stream_id = 'A-2'"), 4, 5],
  "a version in a row": [(store) => misplace(store, 5, "first_version = 2"), 4, 5],
  "a mark": [(store) => misplace(store, 5, "mark = '0123456789abcdef'"), 4, 5],
  "the last mark": [(store) => misplace(store, 9, "mark = '0123456789abcdef'"), 9, 9],
  "a row and its mark": [
    async (store) => {
      await damageLog(store, 5, flipped);
      await misplace(store, 5, "mark = '0123456789abcdef'");
    },
    4,
    5,
  ],
  "a row, and the mark of the row behind": [
    async (store) => {
      await loseRow(store, 5);
      await misplace(store, 6, "mark = '0123456789abcdef'");
    },
    4,
    5,
  ],
  "rows of two streams that are missing together": [
    async (store) => {
      await loseRow(store, 3);
      await loseRow(store, 5);
    },
    3,
    5,
  ],
  "a damaged row beside a missing one": [
    async (store) => {
      await damageLog(store, 3, flipped);
      await loseRow(store, 5);
      await damageLog(store, 6, flipped);
    },
    3,
    6,
  ],
};

test.each(Object.entries(DAMAGES))("is repaired where it was, and a dry run writes nothing: %s", async (_, [damage, first, last]) => {
  const { store, before, damaged } = await damagedBy(damage);
  const expected = { position: 9, head: 9, repaired: [{ first, last }], lost: [] };
  expect(await reconcileLog(store, true)).toEqual(expected);
  expect(await historyOf(store)).toEqual(damaged);
  expect(await reconcileLog(store)).toEqual(expected);
  expect(await historyOf(store)).toEqual(before);
  expect(await reconcileLog(store)).toEqual({ position: 9, head: 9, repaired: [], lost: [] });
  // What comes next goes on from the right mark.
  await evictDurableObject(store.log());
  expect(await historyOf(store)).toEqual(before);
  expect((await store.append("A-1", 5, event())).body).toMatchObject({ version: 6, position: 10 });
  expect(await reconcileLog(store)).toEqual({ position: 10, head: 10, repaired: [], lost: [] });
});

test("rows that become one are found by readers who knew them before", async () => {
  const store = newStore();
  for (let version = 0; version < 4; version++) await store.append("A-1", version, event("Kept", { is: "kept" }));
  const before = await historyOf(store);
  await damageLog(store, 2, flipped);
  await damageLog(store, 3, flipped);
  for (const filter of ["", "&type=Kept"]) expect((await store.request(`/feed?damaged=skip${filter}`)).body.damaged).toHaveLength(2);
  expect(await reconcileLog(store)).toMatchObject({ repaired: [{ first: 2, last: 3 }], lost: [] });
  expect(await historyOf(store)).toEqual(before);
  expect((await store.request("/feed?type=Kept")).body.events).toHaveLength(4);
});

test("a portion that begins within a row, or behind a broken one, takes nothing away", async () => {
  const store = await filled();
  const before = await historyOf(store);
  for (let after = 0; after <= 9; after++) {
    expect(await reconcileLog(store, false, after)).toEqual({ position: 9, head: 9, repaired: [], lost: [] });
  }
  expect(await historyOf(store)).toEqual(before);
  await damageLog(store, 5, flipped);
  expect(await reconcileLog(store, false, 4)).toMatchObject({ repaired: [{ first: 4, last: 5 }], lost: [] });
  expect(await historyOf(store)).toEqual(before);
});

test("the last mark is not made of a broken one", async () => {
  const store = await filled();
  const before = await historyOf(store);
  await misplace(store, 8, "mark = '0123456789abcdef'");
  expect(await reconcileLog(store, false, 8)).toMatchObject({ repaired: [], lost: [{ first: 9, last: 9 }] });
  expect(await reconcileLog(store)).toMatchObject({ repaired: [{ first: 8, last: 8 }], lost: [] });
  expect(await historyOf(store)).toEqual(before);
});

test("what no stream has comes from a backup, if the marks prove it and the log has it nowhere else", async () => {
  const store = await filled();
  const before = await historyOf(store);
  const runs = [{ streamId: "C-1", firstVersion: 1, events: (await store.request("/streams/C-1")).body.events }];
  const lose = async () => {
    await loseRow(store, 7);
    await putStreamBack(store, "C-1", 0);
  };
  await lose();
  const place = [{ first: 7, last: 7 }];
  const left = { repaired: [], lost: place };
  expect(await reconcileLog(store)).toMatchObject(left);
  const others = [{ ...runs[0], events: (await store.request("/streams/B-1?limit=1")).body.events }];
  expect(await reconcileLog(store, false, 6, others)).toMatchObject(left);
  // They stand for the positions from the one behind `after` on.
  expect(await reconcileLog(store, false, 5, runs)).toMatchObject(left);
  const damaged = await historyOf(store);
  for (const dryRun of [true, false]) {
    expect(await historyOf(store)).toEqual(damaged);
    expect(await reconcileLog(store, dryRun, 6, runs)).toMatchObject({ repaired: place, lost: [] });
  }
  expect(await reconcileStream(store, "C-1")).toMatchObject({ repaired: [{ first: 1, last: 1 }], lost: [] });
  expect(await historyOf(store)).toEqual(before);
  await lose();
  expect((await store.append("C-1", 0, event())).body).toMatchObject({ version: 1, position: 10 });
  expect(await reconcileLog(store, false, 6, runs)).toMatchObject(left);
  // A later version of a stream that has begun anew does not come before its first one, either.
  const third = [{ streamId: "B-1", firstVersion: 3, events: (await store.request("/streams/B-1?from=3")).body.events }];
  for (const position of [3, 6, 9]) await loseRow(store, position);
  await putStreamBack(store, "B-1", 0);
  expect((await store.append("B-1", 0, event())).body).toMatchObject({ version: 1, position: 11 });
  expect((await reconcileLog(store, false, 8, third)).lost).toContainEqual({ first: 9, last: 9 });
});

test("a log in good order is left as it is", async () => {
  const store = await filled();
  expect(await reconcileLog(store)).toEqual({ position: 9, head: 9, repaired: [], lost: [] });
});

test("two places are repaired, and one that the stream can't read either is named, until a backup has it", async () => {
  const store = await filled();
  const before = await historyOf(store);
  const backup = (await store.request("/streams/A-1")).body.events;
  await damageLog(store, 2, flipped);
  await damageLog(store, 5, flipped);
  await damageStream(store, "A-1", 4, flipped);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(await reconcileLog(store)).toMatchObject({ repaired: [{ first: 1, last: 2 }], lost: [{ first: 4, last: 5 }] });
  expect(await reconcileStream(store, "A-1")).toMatchObject({ version: 5, repaired: [], lost: [{ first: 3, last: 4 }] });
  const given = { firstVersion: 3, events: backup.slice(2, 4) };
  expect(await reconcileStream(store, "A-1", given)).toMatchObject({ repaired: [{ first: 3, last: 4 }], lost: [] });
  expect(await reconcileLog(store)).toMatchObject({ repaired: [{ first: 4, last: 5 }], lost: [] });
  expect(await historyOf(store)).toEqual(before);
});

test("events that are given are not taken in place of others, nor by a log that they do not fit", async () => {
  const store = await filled();
  await damageLog(store, 5, flipped);
  await damageStream(store, "A-1", 4, flipped);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const other = {
    ...event(),
    schemaVersion: 1,
    metadata: {},
    occurredAt: "2026-01-01T00:00:00.000Z",
    recordedAt: "2026-01-01T00:00:00.000Z",
  };
  const given = { firstVersion: 3, events: [1, 2, 3].map(() => ({ ...other, id: crypto.randomUUID(), actor: null })) };
  expect(await reconcileStream(store, "A-1", given)).toMatchObject({ version: 5, repaired: [{ first: 3, last: 4 }], replaced: null });
  const { body } = await store.request("/streams/A-1");
  expect(body.events.map(({ type }) => type)).toEqual(["Kept", "Kept", "Happened", "Happened", "Kept"]);
  expect(await reconcileLog(store)).toMatchObject({ repaired: [], lost: [{ first: 4, last: 5 }] });
});
