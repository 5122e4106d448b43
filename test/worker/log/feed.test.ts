import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { markAfter, START_MARK } from "../../../shared/mark.ts";
import { categoryOf } from "../../../shared/stream-id.ts";
import type { FeedPage } from "../../../shared/wire/wire.ts";
import { SEED } from "../../support/seed.ts";
import { type Answer, event, newStore, type TestStore } from "../edge-calls.ts";
import { published, runsOf } from "./published.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

async function filled(): Promise<TestStore> {
  const store = newStore();
  const correlated = { ...event("Paid", 3), metadata: { correlationId: "c-1" } };
  await store.append("Permit-1", 0, event("Requested", 1), event("Paid", 2), correlated);
  await store.append("Ticket-1", 0, event("Opened", 4));
  await store.append("Permit", 0, event("Requested", 5));
  await store.append("Permits-1", 0, event("Requested", 6));
  await store.append("Permit-2", 0, event("Requested", 7));
  return store;
}

async function page(store: TestStore, query: string) {
  const { body } = await store.request(`/feed${query}`);
  return { data: body.events.map((item) => item.data), position: body.position, head: body.head };
}

test("a page tells how far it looked, also where nothing matched", async () => {
  const store = await filled();
  const head = 7;
  expect(await page(store, "")).toEqual({ data: [1, 2, 3, 4, 5, 6, 7], position: head, head });
  expect(await page(store, "?after=2&limit=2")).toEqual({ data: [3, 4], position: 4, head });
  expect(await page(store, "?after=7")).toEqual({ data: [], position: 7, head });
  expect(await page(store, "?category=Permit")).toEqual({ data: [1, 2, 3, 5, 7], position: head, head });
  expect(await page(store, "?category=Permit&limit=4")).toEqual({ data: [1, 2, 3, 5], position: 5, head });
  expect(await page(store, "?category=Permits&category=Ticket")).toEqual({ data: [4, 6], position: head, head });
  expect(await page(store, "?stream=Permit-1&stream=Ticket-1&type=Paid")).toEqual({ data: [2, 3], position: head, head });
  expect(await page(store, "?correlation=c-1")).toEqual({ data: [3], position: head, head });
  expect(await page(store, "?within=Permit&within=Ticket-1")).toEqual({ data: [1, 2, 3, 4, 5, 7], position: head, head });
  expect(await page(store, "?within=Permit-1&within=Ticket-1&type=Requested")).toEqual({ data: [1], position: head, head });
  expect(await page(store, "?within=Permit&stream=Permit-2&stream=Ticket-1")).toEqual({ data: [7], position: head, head });
  expect(await page(store, "?within=Permit-1&category=Ticket")).toEqual({ data: [], position: head, head });
  expect(await page(store, "?stream=Permit&stream=Nothing-1")).toEqual({ data: [5], position: head, head });
  expect(await page(store, "?stream=Permit-1&limit=2")).toEqual({ data: [1, 2], position: 2, head });
  expect(await page(store, "?stream=Permit-1&after=1&limit=2")).toEqual({ data: [2, 3], position: head, head });
  expect(await page(store, "?category=Nothing")).toEqual({ data: [], position: head, head });
  expect(await page(store, "?since=2000-01-01T00:00:00Z&until=2001-01-01T00:00:00Z")).toEqual({ data: [], position: head, head });
  expect(await page(store, "?since=2000-01-01T00:00:00Z&limit=1")).toEqual({ data: [1], position: 1, head });
});

test("the feed's events are the streams' events", async () => {
  const store = await filled();
  const { body: feed } = await store.request("/feed?stream=Permit-1");
  const { body: stream } = await store.request("/streams/Permit-1");
  expect(feed.events).toEqual(stream.events);
  expect(stream).toMatchObject({ streamId: "Permit-1", version: 3 });
});

test("another log, and a position that the log has not reached, are refused", async () => {
  const store = await filled();
  const { body } = await store.request("/feed");
  expect((await store.request(`/feed?log=${body.log}`)).status).toBe(200);
  const mismatch = await store.request(`/feed?log=${crypto.randomUUID()}`);
  expect([mismatch.status, mismatch.body.code]).toEqual([409, "log-mismatch"]);
  const ahead = await store.request("/feed?after=8");
  expect([ahead.status, ahead.body.code, ahead.body.head]).toEqual([409, "position-ahead", 7]);
});

test("streams are listed by id, by category, page by page", async () => {
  const store = await filled();
  const list = async (query: string) => {
    const { body } = await store.request(`/streams${query}`);
    return [body.streams.map((item) => `${item.streamId}@${item.version}`), body.next];
  };
  expect(await list("")).toEqual([["Permit@1", "Permit-1@3", "Permit-2@1", "Permits-1@1", "Ticket-1@1"], null]);
  expect(await list("?category=Permit")).toEqual([["Permit@1", "Permit-1@3", "Permit-2@1"], null]);
  expect(await list("?category=Permit&limit=2")).toEqual([["Permit@1", "Permit-1@3"], "Permit-1"]);
  expect(await list("?category=Permit&limit=2&after=Permit-1")).toEqual([["Permit-2@1"], null]);
  expect(await list("?limit=2&after=Permit-2")).toEqual([["Permits-1@1", "Ticket-1@1"], null]);
  expect(await list("?category=Nothing")).toEqual([[], null]);
});

test("the log's size can be asked for", async () => {
  const store = await filled();
  const { body } = await store.request("/health");
  expect(body).toMatchObject({ head: 7, streams: 5, events: 7, log: (await store.request("/feed")).body.log });
});

/** The pages of a query one after the other, up to the head. */
async function pages(store: TestStore, query: string, from = 0): Promise<FeedPage[]> {
  const all: FeedPage[] = [];
  for (let after = from; ; after = all.at(-1)?.position ?? 0) {
    const { body, status } = await store.request(`/feed?after=${after}${query}`);
    expect(status).toBe(200);
    expect(body.position > after || body.position === body.head).toBe(true);
    all.push(body);
    if (body.position === body.head) return all;
  }
}

const steps = fc.array(fc.record({ streamId: fc.constantFrom("A-1", "A-2", "B-1", "B", "C-1"), size: fc.integer({ min: 1, max: 4 }) }), {
  minLength: 1,
  maxLength: 30,
});

test("whatever is asked for, pages bring what matches, in order, and none comes past an event that it leaves out", async () => {
  const names = fc.uniqueArray(fc.constantFrom<string[]>("A-1", "A-2", "B-1", "B", "C-1", "None-1"), { minLength: 1, maxLength: 3 });
  const limit = fc.integer({ min: 1, max: 12 });
  const asked = fc.record({ kind: fc.constantFrom("stream", "within"), names, limit, after: fc.nat(60) });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(asked, { minLength: 1, maxLength: 6 }), async (taken, queries) => {
      const store = newStore();
      await published(store, taken);
      const all: FeedPage = (await store.request("/feed")).body;
      for (const { kind, names, limit, after } of queries) {
        const from = Math.min(after, all.head);
        const isAsked = (id: string) => names.includes(id) || (kind === "within" && names.includes(categoryOf(id)));
        const expected = all.events.filter((item) => item.position > from && isAsked(item.streamId));
        let position = from;
        for (const page of await pages(store, `&limit=${limit}${names.map((name) => `&${kind}=${name}`).join("")}`, from)) {
          expect(page.events).toEqual(expected.filter((item) => item.position > position && item.position <= page.position));
          expect(page.events.length === limit || page.position === page.head).toBe(true);
          position = page.position;
        }
      }
    }),
    { seed: SEED, numRuns: 30 },
  );
});

test("a stream's page costs what the stream has, not what the log has", async () => {
  const store = newStore();
  const others = Array.from({ length: 300 }, (_, i) => ({ streamId: `Other-${i}`, size: 1 }));
  await published(store, [{ streamId: "A-1", size: 2 }, ...others, { streamId: "A-1", size: 1 }, { streamId: "A-2", size: 1 }, ...others]);
  const cursors = await runInDurableObject(store.log(), (_, state) => {
    const { exec } = state.storage.sql;
    const seen: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    vi.spyOn(state.storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      const cursor = exec.call(state.storage.sql, query, ...bindings);
      seen.push(cursor);
      return cursor;
    }) as SqlStorage["exec"]);
    return seen;
  });
  for (const [query, events] of [
    ["?stream=A-1", 3],
    ["?within=A-1&within=A-2", 4],
    ["?stream=A-1&after=1", 2],
    ["?stream=None-1", 0],
  ] as const) {
    const { body } = await store.request(`/feed${query}`);
    expect([body.events.length, body.position]).toEqual([events, body.head]);
  }
  expect(cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0)).toBeLessThan(60);
});

test("streams of many rows are read to their end, in turns", async () => {
  const store = newStore();
  const [long, short] = ["Long-1", "Short-1"];
  const rows = Array.from({ length: 2300 }, (_, i) => ({
    streamId: i % 23 === 0 ? short : long,
    size: 1,
    type: i % 575 === 0 || i % 100 === 7 ? "Rare" : "Happened",
  }));
  await published(store, rows);
  const expected = rows.flatMap(({ type }, i) => (type === "Rare" ? [i + 1] : []));
  const read = await pages(store, `&stream=${long}&stream=${short}&type=Rare`);
  expect(read.flatMap((item) => item.events.map(({ position }) => position))).toEqual(expected);
});

test("a mark is that of the position, however the feed was read", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 6 }), async (taken, limit) => {
      const store = newStore();
      const { body: empty } = await store.request("/feed");
      expect([empty.position, empty.mark]).toEqual([0, START_MARK]);
      await published(store, taken);
      const { body: all } = await store.request("/feed");
      const ids = all.events.map(({ id }) => id);
      for (const evicted of [false, true]) {
        if (evicted) await evictDurableObject(store.log());
        for (const query of ["", "&stream=A-1&stream=C-1", "&within=A", "&category=None"]) {
          for (const { position, mark, log } of await pages(store, `&limit=${limit}${query}`)) {
            expect(mark).toBe(markAfter(START_MARK, ids.slice(0, position)));
            expect((await store.request(`/feed?after=${position}&log=${log}&mark=${mark}`)).status).toBe(200);
          }
        }
      }
      await store.append("Later-1", 0, event());
      const { body: later } = await store.request("/feed");
      expect(later.mark).toBe(markAfter(all.mark ?? "", [later.events.at(-1)?.id ?? ""]));
    }),
    { seed: SEED, numRuns: 10 },
  );
});

/** What a log has beyond a position is lost: an older copy of it was restored. */
async function restored(store: TestStore, head: number): Promise<void> {
  await runInDurableObject(store.log(), (_, state) => {
    state.storage.sql.exec("DELETE FROM runs WHERE last_position > ?", head);
  });
  await evictDurableObject(store.log());
}

function expectRefused({ status, body }: Answer, code: string, head: number): void {
  expect([status, body.code, body.head]).toEqual([409, code, head]);
  if (code === "log-mismatch") expect(body.detail).toMatch(/another history up to position 7/);
}

test("a log that was restored from an older copy refuses who followed it further, also when it has grown past them", async () => {
  const store = await filled();
  const { log, position, mark } = (await store.request("/feed")).body;
  const asked = `/feed?after=${position}&log=${log}&mark=${mark}`;
  const push = (streamId: string, followed: object) =>
    store.request("/commits", { method: "POST", body: JSON.stringify({ ...followed, commits: [{ streamId, events: [event()] }] }) });
  expect((await store.request(asked)).status).toBe(200);
  expect((await push("New-1", { log, position, mark })).body).toMatchObject({ log, results: [{ status: "committed", position: 8 }] });

  await restored(store, 5);
  expectRefused(await store.request(asked), "position-ahead", 5);
  expectRefused(await push("New-2", { log, position, mark }), "position-ahead", 5);
  expectRefused(await push("New-2", { position }), "position-ahead", 5);
  await store.append("New-3", 0, event(), event(), event());
  expectRefused(await store.request(asked), "log-mismatch", 8);
  expectRefused(await push("New-2", { log, position, mark }), "log-mismatch", 8);
  expectRefused(await push("New-2", { position, mark }), "log-mismatch", 8);
  expect((await store.request("/streams/New-2")).status).toBe(404);
  expect(await store.feed()).toHaveLength(8);

  // Who had come no further than the copy goes on.
  const earlier = (await store.request("/feed?limit=4")).body;
  expect((await push("New-2", { log, position: 4, mark: earlier.mark })).body.results).toMatchObject([
    { status: "committed", position: 9 },
  ]);
});

test("a publication that failed half way leaves the mark as it was", async () => {
  const store = newStore();
  const runs = runsOf([
    { streamId: "A-1", size: 2 },
    { streamId: "B-1", size: 1 },
  ]);
  const failing = await runInDurableObject(store.log(), (_, state) => {
    const { exec } = state.storage.sql;
    return vi.spyOn(state.storage.sql, "exec").mockImplementation(((query: string, ...bindings: SqlStorageValue[]) => {
      if (query.startsWith("INSERT") && bindings.includes("B-1")) throw new Error("no room");
      return exec.call(state.storage.sql, query, ...bindings);
    }) as SqlStorage["exec"]);
  });
  await expect(runInDurableObject(store.log(), (log) => log.publish(runs))).rejects.toThrow("no room");
  failing.mockRestore();
  expect((await store.request("/feed")).body).toMatchObject({ position: 0, mark: START_MARK });
  await store.log().publish(runs);
  const { body } = await store.request("/feed");
  const ids = body.events.map(({ id }) => id);
  expect([body.position, body.mark]).toEqual([3, markAfter(START_MARK, ids)]);
});

test("a log of before there were marks is given them", async () => {
  const store = await filled();
  const { body: before } = await store.request("/feed");
  await runInDurableObject(store.log(), (_, state) => {
    state.storage.sql.exec("ALTER TABLE runs DROP COLUMN mark");
  });
  await evictDurableObject(store.log());
  expect((await store.request("/feed")).body.mark).toBe(before.mark);
  await store.append("New-1", 0, event());
  expect((await store.request(`/feed?after=${before.position}&mark=${before.mark}`)).body.events).toHaveLength(1);
});
