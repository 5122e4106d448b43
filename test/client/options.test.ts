/** What an app hands over is checked whole: each wrong option is refused by its name, before anything is done. */
import "fake-indexeddb/auto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openStore, type Projection, type Store, type StoreOptions } from "../../client/index.ts";
import { openMemoryEdge, openMemoryStore } from "../../client/testing/index.ts";

let count = 0;
const newName = () => `options-${++count}`;
const url = "https://edge.example/v1/permits";
const refused = (field: string) => expect.objectContaining({ name: "InvalidRequestError", code: "invalid-request", field });
/** As JavaScript calls it. */
const untyped = <T>(value: unknown) => value as T;
const event = { type: "Noted", data: {} };

async function collected<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

const counter = {
  name: "counter",
  version: 1,
  initialState: 0,
  evolve: (state: number) => state + 1,
  decide: (): typeof event => event,
};
const rows: Projection<{ readonly n: number }> = { name: "rows", version: 1, evolve: (row) => ({ n: (row?.n ?? 0) + 1 }) };

describe("openStore", () => {
  test("deciders: what is wrong with one is named", async () => {
    const open = (...deciders: readonly unknown[]) => openStore(untyped<StoreOptions>({ name: newName(), deciders }));
    await expect(open(counter, { ...counter, name: "other", version: 0 })).rejects.toEqual(refused("deciders[1].version"));
    await expect(open(counter, { ...counter })).rejects.toEqual(refused("deciders[1].name"));
    await (await open(counter, counter)).close();
  });

  test.each([
    undefined,
    "/v1/permits",
    "edge.example/v1/permits",
    `${url}?log=1`,
    `${url}#top`,
    new URL(`${url}?log=1`),
    "wss://edge.example/v1/permits",
    "https://ann:secret@edge.example/v1/permits",
    7,
  ])("sync.url: %s", async (wrong) => {
    const options = untyped<StoreOptions>({ name: newName(), sync: { url: wrong } });
    await expect(openStore(options)).rejects.toEqual(refused("sync.url"));
  });

  test.each([url, `${url}/`, new URL(url), new URL(`${url}/`)])("sync.url may be %s, and requests go there", async (right) => {
    const asked: string[] = [];
    const fetch: typeof globalThis.fetch = async (input) => {
      asked.push(String(input));
      return Response.json({ log: "l", events: [], position: 0, head: 0 });
    };
    const store = await openStore({ name: newName(), sync: { url: right, fetch, automatic: false } });
    await store.sync();
    await store.close();
    expect(asked[0]).toMatch(/^https:\/\/edge\.example\/v1\/permits\/feed\?/);
  });

  test.each<[string, unknown]>([
    ["sync.timeout", "30s"],
    ["sync.timeout", -1],
    ["sync.timeout", 0.5],
    ["sync.timeout", 30 * 86_400_000 * 1000],
    ["sync.timeout", Number.NaN],
    ["sync.timeout", null],
    ["sync.pollEvery", 0],
    ["sync.pollEvery", "5s"],
    ["sync.pollEvery", 2 ** 31],
    ["sync.automatic", "false"],
    ["sync.token", "abc"],
    ["sync.webSocket", "no"],
    ["sync.interval", 5],
    ["sync.filter", ["Permit"]],
    ["sync.filter.category", "Permit"],
    ["sync.filter.categories", "Permit"],
    ["name", ""],
    ["sync", url],
    ["durability", "loose"],
    ["limits", 5],
    ["limits.eventByte", 5],
    ["limits.eventBytes", 0],
    ["deciders", { counter }],
    ["eventTypes", { Noted: { version: 1 } }],
    ["onConflict", "rebase"],
    ["onConflicts", () => "rebase"],
    ["url", url],
  ])("%s: %j is refused", async (path, value) => {
    const parts = path.split(".");
    const given = parts.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
    const { sync, ...rest } = given as { sync?: object };
    const isObject = typeof sync === "object";
    const options = { name: newName(), ...rest, ...(sync !== undefined && { sync: isObject ? { url, automatic: false, ...sync } : sync }) };
    await expect(openStore(untyped<StoreOptions>(options))).rejects.toEqual(refused(path));
  });

  test("without options, or with a text in their place, it says what is missing", async () => {
    await expect(openStore(untyped<StoreOptions>(undefined))).rejects.toEqual(refused("options"));
    await expect(openStore(untyped<StoreOptions>("permits"))).rejects.toEqual(refused("options"));
  });

  test.each([0, Number.POSITIVE_INFINITY])("with a timeout of %s a request may take as long as it takes", async (timeout) => {
    let answer: (response: Response) => void = () => undefined;
    let isAsked: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const fetch: typeof globalThis.fetch = () => {
      isAsked();
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const store = await openStore({ name: newName(), sync: { url, fetch, automatic: false, timeout } });
    const synced = store.sync();
    await asked;
    // A timer of 0 or of Infinity milliseconds would go off before this one.
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer(Response.json({ log: "l", events: [], position: 0, head: 0 }));
    await synced;
    expect(store.status.problem).toBeNull();
    await store.close();
  });
});

describe("a store", () => {
  let store: Store;
  beforeAll(async () => {
    store = await openMemoryStore();
    await store.appendToStream("Note-1", [event]);
  });
  afterAll(() => store.close());

  test.each<[string, (options: never) => Promise<unknown>, object, string]>([
    ["appendToStream", (options) => store.appendToStream("Note-1", [event], options), { expectedVersoin: 1 }, "expectedVersoin"],
    ["appendToStream", (options) => store.appendToStream("Note-1", [event], options), { expectedVersion: "1" }, "expectedVersion"],
    ["appendToStream", (options) => store.appendToStream("Note-1", [event], options), { causedBy: "an id" }, "causedBy"],
    ["readStream", (options) => store.readStream("Note-1", options), { after: 1 }, "after"],
    ["readStream", (options) => store.readStream("Note-1", options), { direction: "back" }, "direction"],
    ["readAll", (options) => collected(store.readAll(options)), { direction: "backwards" }, "direction"],
    ["readAll", (options) => collected(store.readAll(options)), { from: 1 }, "from"],
    ["readAll", (options) => collected(store.readAll(options)), { categories: ["Note"] }, "categories"],
    ["handle", (options) => store.handle("Note-1", counter, {}, options), { expectedVersion: 1 }, "expectedVersion"],
    ["handle", (options) => store.handle("Note-1", counter, {}, options), { retries: "3" }, "retries"],
    ["aggregateStream", (options) => store.aggregateStream("Note-1", counter, options), { version: 1 }, "version"],
    ["aggregateStream", (options) => store.aggregateStream("Note-1", counter, options), { upTo: 1 }, "upTo"],
    ["aggregateStream", (options) => store.aggregateStream("Note-1", counter, options), { upTo: { versoin: 1 } }, "upTo"],
    ["reset", (options) => store.reset(options), { keepPendings: true }, "keepPendings"],
    ["query", async (options) => (await store.project(rows)).query(options), { offset: 3 }, "offset"],
    ["query", async (options) => (await store.project(rows)).query(options), { limit: "3" }, "limit"],
    ["upTo", async (options) => (await store.project(rows)).upTo(options), { versoin: 3 }, "upTo"],
    ["project", (options) => store.project({ ...rows, ...(options as object), name: "others" }), { index: "n" }, "projection.index"],
    ["project", (options) => store.project({ ...rows, ...(options as object), name: "others" }), { evolve: 7 }, "projection.evolve"],
  ])("%s refuses an option that is none, or of another form (%#)", async (_, call, options, field) => {
    await expect(call(untyped<never>(options))).rejects.toEqual(refused(field));
    expect((await store.readStream("Note-1")).version).toBe(1);
  });

  test("live rows show that the query has an option that is none", async () => {
    const table = await store.project(rows);
    const live = table.live(untyped({ offset: 3 }));
    const failed = Promise.withResolvers<unknown>();
    const end = live.subscribe(() => {
      if (live.getSnapshot().status === "failed") failed.resolve(live.getSnapshot().error);
    });
    expect(await failed.promise).toEqual(refused("offset"));
    end();
  });

  test("subscribe refuses an option that is none", async () => {
    const failed = Promise.withResolvers<unknown>();
    store.subscribe(() => undefined, untyped({ categories: ["Note"], onError: failed.resolve }));
    expect(await failed.promise).toEqual(refused("categories"));
  });

  test("one event in the place of a list is refused by what is missing", async () => {
    const one = untyped<(typeof event)[]>(event);
    const message = expect.stringContaining("events must be a list, also for one event: [event].");
    await expect(store.appendToStream("Note-1", one)).rejects.toMatchObject({ field: "events", message });
  });

  test("a field that no event has is refused, and an event that was read may be appended elsewhere", async () => {
    const wrong = untyped<(typeof event)[]>([event, { ...event, meta: { by: "ann" } }]);
    await expect(store.appendToStream("Note-1", wrong)).rejects.toEqual(refused("events[1].meta"));
    const { events } = await store.readStream("Note-1");
    expect(await store.appendToStream("Copy-1", events)).toMatchObject({ version: 1 });
  });
});

test.each([
  ["openMemoryStore", () => openMemoryStore(untyped({ platform: globalThis })), "platform"],
  ["openMemoryStore", () => openMemoryStore(untyped({ names: "x" })), "names"],
  ["openMemoryEdge", () => openMemoryEdge(untyped({}), untyped({ AUTH: "jwt" })), "AUTH"],
] as const)("%s refuses an option that is none", async (_, open, field) => {
  await expect(open()).rejects.toEqual(refused(field));
});
