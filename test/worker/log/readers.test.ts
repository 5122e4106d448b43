/** What readers cost who get little or nothing: rows that are read, and turns in which others get through. */
import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { SEED } from "../../support/seed.ts";
import { event, newStore } from "../edge-calls.ts";
import { openLive } from "./feed-socket.ts";
import { published, type Step } from "./published.ts";
import { rowsOf, rowsReadBy } from "./rows-read.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("a page of many streams reads no more of them than it needs", async () => {
  const store = newStore();
  const streams = 200;
  await published(store, rowsOf(streams * 40, undefined, streams));
  const named = Array.from({ length: streams }, (_, i) => `&stream=A-${i}`).join("");
  for (const [after, each] of [
    [0, 4],
    [4000, 22],
    [streams * 40 - 500, 22],
  ] as const) {
    const rowsRead = await rowsReadBy(store, () => store.request(`/feed?limit=1&after=${after}${named}`));
    // What each stream's place costs, the rows of the search itself among it, and the row with its mark.
    expect(rowsRead).toBeLessThanOrEqual(streams * each + 10);
  }
});

test("what a filter found is remembered: who reads by it again reads the rows that match alone", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(
    store,
    rowsOf(3000, (i) => (i % 1000 === 500 ? "Rare" : "Happened")),
    versions,
  );
  const read = async () => {
    let positions: unknown[] = [];
    const rowsRead = await rowsReadBy(store, async () => {
      positions = (await store.request("/feed?type=Rare")).body.events.map(({ position }) => position);
    });
    return { rowsRead, positions };
  };
  const first = await read();
  expect(first.positions).toEqual([501, 1501, 2501]);
  expect(first.rowsRead).toBeGreaterThanOrEqual(3000);
  const again = await read();
  expect(again.positions).toEqual(first.positions);
  expect(again.rowsRead).toBeLessThanOrEqual(5);
  await published(
    store,
    rowsOf(10, () => "Rare"),
    versions,
  );
  expect((await read()).positions).toHaveLength(13);
  await evictDurableObject(store.log());
  expect((await store.request("/feed?type=Rare")).body.events).toHaveLength(13);
});

test("a publication reads its rows once, however many sockets have filters that match nothing", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(store, rowsOf(1), versions);
  const sockets = await Promise.all(Array.from({ length: 90 }, async (_, i) => (await openLive(store.id, `/feed?type=Never${i}`)).socket));
  for (const socket of sockets) socket.pull(1);
  const last = await openLive(store.id, "/feed?type=Last");
  last.socket.pull(1);
  const rowsRead = await rowsReadBy(store, async () => {
    for (let i = 0; i < 20; i++) await published(store, rowsOf(1), versions);
    await published(
      store,
      rowsOf(1, () => "Last"),
      versions,
    );
    expect((await last.socket.next()).position).toBe(22);
  });
  // For each publication: the head of its stream, and its row. For the page: its row.
  expect(rowsRead).toBeLessThanOrEqual(3 * 21 + 5);
  expect(sockets.map(({ unread }) => unread)).toEqual(sockets.map(() => 0));
  for (const { socket } of [last, ...sockets.map((socket) => ({ socket }))]) socket.close();
});

test("a publication that comes while a reader searches does not wait for the end of the search", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(store, rowsOf(15_000), versions);
  const ended: string[] = [];
  const search = store.request("/feed?type=Rare").then(({ body }) => ended.push(`page up to ${body.position}`));
  // The log has begun to search once it has a page to make.
  await runInDurableObject(store.log(), () => undefined);
  await published(store, rowsOf(1), versions).then(() => ended.push("publication"));
  await search;
  expect(ended[0]).toBe("publication");
});

test("news that come while the first search of a socket takes its turns are behind what it finds", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(
    store,
    rowsOf(5000, (i) => (i === 4990 ? "Rare" : "Happened")),
    versions,
  );
  const { socket } = await openLive(store.id, "/feed?type=Rare");
  socket.pull(0);
  for (let i = 0; i < 5; i++)
    await published(
      store,
      rowsOf(1, () => "Rare"),
      versions,
    );
  const found: number[] = [];
  for (let position = 0; position < 5005; ) {
    const page = await socket.next();
    found.push(...page.events.map((item) => item.position));
    position = page.position;
    if (position < 5005) socket.pull(position);
  }
  expect(found).toEqual([4991, 5001, 5002, 5003, 5004, 5005]);
  socket.close();
});

test("a socket whose pull is replaced while it searches gets one page, for the new pull", async () => {
  const store = newStore();
  await published(store, rowsOf(5000));
  const { socket } = await openLive(store.id, "/feed?type=Rare");
  socket.pull(0);
  socket.pull(4999);
  expect((await socket.next()).position).toBe(5000);
  socket.send("ping");
  expect(await socket.text()).toBe("pong");
  socket.close();
});

const TYPES = ["One", "Two", "Three", "Four"];
const step = fc.record({
  streamId: fc.constantFrom("A-1", "A-2", "B-1", "C-1"),
  size: fc.integer({ min: 1, max: 4 }),
  type: fc.constantFrom(...TYPES),
});
const filter = fc.constantFrom(
  "",
  "type=One",
  "type=Two&type=Three",
  "category=A",
  "category=B&type=Two",
  "stream=C-1",
  "within=A&type=Four",
);

function passes(query: string, { streamId, type }: { readonly streamId: string; readonly type: string }): boolean {
  const all = (name: string) => new URLSearchParams(query).getAll(name);
  const [types, streams] = [all("type"), all("stream")];
  const categories = [...all("category"), ...all("within")];
  const isOf = (names: readonly string[], value: string) => names.length === 0 || names.includes(value);
  return isOf(types, type) && isOf(streams, streamId) && isOf(categories, streamId.split("-")[0] ?? "");
}

test(`whoever reads by the same filters, from anywhere and again, gets what matches (SEED=${SEED})`, async () => {
  const read = fc.record({ query: filter, after: fc.nat(80), limit: fc.integer({ min: 1, max: 6 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(step, { minLength: 1, maxLength: 12 }), fc.array(read, { maxLength: 5 }))),
      async (rounds) => {
        const store = newStore();
        const versions = new Map<string, number>();
        for (const [taken, reads] of rounds) {
          await published(store, taken, versions);
          const { body: all } = await store.request("/feed");
          for (const { query, after, limit } of reads) {
            let position = Math.min(after, all.head);
            const expected = all.events.filter((item) => (item.position ?? 0) > position && passes(query, item));
            const found = [];
            while (position < all.head) {
              const { body } = await store.request(`/feed?after=${position}&limit=${limit}&${query}`);
              found.push(...body.events);
              position = body.position;
            }
            expect(found).toEqual(expected);
          }
        }
      },
    ),
    { seed: SEED, numRuns: 25 },
  );
});

test(`sockets of any filters get all that matches, in order, also over evictions (SEED=${SEED})`, async () => {
  const act = fc.oneof(
    { arbitrary: fc.array(step, { minLength: 1, maxLength: 3 }), weight: 6 },
    { arbitrary: fc.constant("evict" as const), weight: 1 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(filter, { minLength: 1, maxLength: 6 }),
      fc.array(act, { minLength: 1, maxLength: 12 }),
      async (queries, acts) => {
        const store = newStore();
        const versions = new Map<string, number>();
        const readers = await Promise.all(
          queries.map(async (query) => {
            const { socket } = await openLive(store.id, `/feed?${query}`);
            const found: number[] = [];
            const ended = (async () => {
              for (let position = 0; ; ) {
                socket.pull(position);
                const page = await socket.next();
                if (page.problem !== undefined) throw new Error(page.problem.detail);
                found.push(...page.events.map((item) => item.position));
                position = page.position;
                if (page.events.some(({ data }) => data === "end")) return;
              }
            })();
            return { query, socket, found, ended };
          }),
        );
        for (const one of acts) {
          if (one !== "evict") {
            await published(store, one, versions);
            continue;
          }
          await runInDurableObject(store.log(), () => undefined); // it may have gone already
          await evictDurableObject(store.log());
        }
        // Each filter gets one of these.
        const last: Step[] = ["A-1", "B-1", "C-1"].flatMap((streamId) => TYPES.map((type) => ({ streamId, size: 1, type, data: "end" })));
        await published(store, last, versions);
        await Promise.all(readers.map(({ ended }) => ended));
        const { body: all } = await store.request("/feed");
        for (const { query, found, socket } of readers) {
          const expected = all.events.filter((item) => passes(query, item)).map(({ position }) => position);
          expect(found).toEqual(expected.slice(0, found.length));
          expect(found.length).toBeGreaterThanOrEqual(all.events.filter((item) => passes(query, item) && item.data !== "end").length);
          socket.close();
        }
      },
    ),
    { seed: SEED, numRuns: 25 },
  );
});

test("a reader is where the log looked, not at each row: a socket that matches nothing is told of a thousand positions", async () => {
  const store = newStore();
  const versions = new Map<string, number>();
  await published(store, rowsOf(1), versions);
  const { socket } = await openLive(store.id, "/feed?type=Never");
  socket.pull(1);
  await published(store, rowsOf(999), versions);
  await runInDurableObject(env.LOGS.getByName(store.id), () => undefined);
  expect(socket.unread).toBe(0);
  await published(store, rowsOf(1), versions);
  expect(await socket.next()).toMatchObject({ events: [], position: 1001 });
  socket.close();
});

test("while the log is written to, answers without events go out one after the other, and others at once", async () => {
  const store = newStore();
  await store.append("A-1", 0, event());
  const time = Date.now();
  const clock = vi.spyOn(Date, "now").mockReturnValue(time);
  const waits: number[] = [];
  const { setTimeout } = globalThis;
  vi.stubGlobal("setTimeout", (work: () => void, milliseconds = 0) => {
    waits.push(milliseconds);
    return setTimeout(work, milliseconds);
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  const read = async (filter: string, readers: number) => {
    waits.length = 0;
    await Promise.all(Array.from({ length: readers }, () => store.request(`/feed?type=${filter}`)));
    return waits;
  };
  await store.append("A-1", 1, event());
  expect(await read("Never", 20)).toEqual([8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, ...Array<number>(7).fill(100)]);
  expect(await read("Happened", 3)).toEqual([]);
  clock.mockReturnValue(time + 1_000);
  expect(await read("Never", 3)).toEqual([]);
});

test("what comes while an answer without events waits belongs to it", async () => {
  const store = newStore();
  vi.spyOn(Date, "now").mockReturnValue(Date.now());
  await store.append("A-1", 0, event());
  const { setTimeout } = globalThis;
  const waiting = Promise.withResolvers<() => void>();
  vi.stubGlobal("setTimeout", (work: () => void, milliseconds = 0) =>
    milliseconds === 8 ? waiting.resolve(work) : setTimeout(work, milliseconds),
  );
  onTestFinished(() => void vi.unstubAllGlobals());
  expect((await store.request("/feed?after=1")).body).toMatchObject({ events: [], position: 1, head: 1 });
  const second = store.request("/feed?after=1");
  const goOn = await waiting.promise;
  await store.append("A-1", 1, event());
  goOn();
  expect((await second).body).toMatchObject({ events: [{ position: 2 }], position: 2, head: 2 });
});
