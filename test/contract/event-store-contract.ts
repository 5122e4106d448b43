/** What every event store must do, on any storage. Every storage runs all of it and skips nothing. */
import { afterEach, describe, expect, test } from "vitest";
import type { EventStore } from "../../client/event-store.ts";
import {
  DEFAULT_LIMITS,
  EventIdReusedError,
  HeadwaterError,
  InvalidRequestError,
  PayloadTooLargeError,
  StoreClosedError,
  StreamNotFoundError,
  VersionConflictError,
} from "../../client/index.ts";

/** Opens a store that has nothing in it. */
export type OpenEmpty = () => EventStore | Promise<EventStore>;

const event = (type: string, data: unknown = {}) => ({ type, data });
const uuid = () => crypto.randomUUID();

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export function describeEventStore(name: string, openEmpty: OpenEmpty): void {
  const opened: EventStore[] = [];
  const open = async () => {
    const store = await openEmpty();
    opened.push(store);
    return store;
  };
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  async function versionOf(store: EventStore, streamId: string): Promise<number> {
    try {
      return (await store.readStream(streamId, { limit: 1 })).version;
    } catch (error) {
      if (error instanceof StreamNotFoundError) return 0;
      throw error;
    }
  }

  /** Each must be refused with this code and this class, name the stream, and leave it as it was. */
  async function refuses(
    store: EventStore,
    streamId: string,
    code: string,
    type: abstract new (...given: never[]) => HeadwaterError,
    append: () => Promise<unknown>,
    field?: string,
  ) {
    const before = await versionOf(store, streamId);
    const error = await append().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(type);
    expect(error).toBeInstanceOf(HeadwaterError);
    expect(error).toMatchObject({ code, details: { streamId, ...(field && { field }) }, message: expect.stringMatching(`^${streamId}: `) });
    expect(await versionOf(store, streamId)).toBe(before);
    return error as HeadwaterError;
  }

  describe(`a store of streams: ${name}`, () => {
    test("an event reads back deeply equal to what was written", async () => {
      const store = await open();
      const written = {
        id: uuid(),
        type: "Größe geändert 📏",
        schemaVersion: 3,
        data: {
          text: "Zoë\u0000\n\u2028 👩‍🚀",
          numbers: [0, -1.5, 1e300, Number.MAX_SAFE_INTEGER, 5e-324],
          deep: { list: [[], {}, null, true] },
          "": "empty key",
        },
        metadata: { correlationId: "c-1", causationId: "c-0", own: { by: ["app"] } },
        occurredAt: "2010-10-02T09:20:39.266Z",
      };
      await store.appendToStream("Thing-1", [written], { expectedVersion: "no-stream" });
      const { events, version, streamId } = await store.readStream("Thing-1");
      expect({ version, streamId }).toEqual({ version: 1, streamId: "Thing-1" });
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({ ...written, streamId: "Thing-1", version: 1 });
      expect(events[0]?.data).toEqual(written.data);
      expect(events[0]?.metadata).toEqual(written.metadata);
    });

    test("what an event leaves out is filled in", async () => {
      const store = await open();
      await store.appendToStream("Thing-1", [event("Made", null)]);
      const [made] = (await store.readStream("Thing-1")).events;
      expect(made).toMatchObject({ schemaVersion: 1, metadata: {}, data: null, actor: null });
      expect(made?.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(new Date(made?.occurredAt ?? "").toISOString()).toBe(made?.occurredAt);
    });

    test("keys such as __proto__ stay inert data", async () => {
      const store = await open();
      const data = JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":"x"}');
      await store.appendToStream("Thing-1", [event("Made", data)]);
      const [made] = (await store.readStream("Thing-1")).events;
      expect(JSON.stringify(made?.data)).toBe(JSON.stringify(data));
      expect(Object.hasOwn(made?.data as object, "__proto__")).toBe(true);
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    });

    test("ids in upper case, and what refers to them, are stored in lower case; ids of other systems stay as they are", async () => {
      const store = await open();
      const id = uuid();
      const cause = { id: id.toUpperCase(), metadata: {} };
      await store.appendToStream("Thing-1", [{ ...event("Cause"), id: cause.id }]);
      const other = { ...event("Other"), metadata: { correlationId: "Order-A" } };
      await store.appendToStream("Thing-1", [event("Caused"), other], { causedBy: cause });
      const { events } = await store.readStream("Thing-1");
      expect(events[0]?.id).toBe(id);
      expect(events[1]?.metadata).toEqual({ correlationId: id, causationId: id });
      expect(events[2]?.metadata).toEqual({ correlationId: "Order-A", causationId: id });
    });

    test("versions are 1 … n, whatever the size of the commits", async () => {
      const store = await open();
      const sizes = [1, 3, 1, 100, 2];
      let version = 0;
      for (const size of sizes) {
        const events = Array.from({ length: size }, (_, i) => event("Counted", version + i + 1));
        const result = await store.appendToStream("Count-1", events, { expectedVersion: version });
        expect(result).toMatchObject({ streamId: "Count-1", firstVersion: version + 1, version: version + size, duplicate: false });
        version += size;
      }
      const { events } = await store.readStream("Count-1");
      expect(events.map((item) => item.version)).toEqual(Array.from({ length: version }, (_, i) => i + 1));
      expect(events.map((item) => item.data)).toEqual(events.map((item) => item.version));
    });

    test.each([
      ["any", true, true],
      ["no-stream", true, false],
      ["stream-exists", false, true],
      [0, true, false],
      [2, false, true],
      [1, false, false],
      [3, false, false],
    ] as const)("expected version %s: on no stream %s, on a stream at version 2 %s", async (expectedVersion, onNone, onTwo) => {
      const store = await open();
      await store.appendToStream("Two-1", [event("A"), event("B")]);
      for (const [streamId, holds, actualVersion] of [
        ["None-1", onNone, 0],
        ["Two-1", onTwo, 2],
      ] as const) {
        const append = () => store.appendToStream(streamId, [event("C")], { expectedVersion });
        if (holds) expect((await append()).version).toBe(actualVersion + 1);
        else {
          const error = await refuses(store, streamId, "version-conflict", VersionConflictError, append);
          expect(error).toMatchObject({ expectedVersion, actualVersion });
        }
      }
    });

    test("a commit sent again answers with its original versions, whatever it expects by then", async () => {
      const store = await open();
      const commit = [
        { ...event("A", { x: 1, y: 2 }), id: uuid() },
        { ...event("B"), id: uuid() },
      ];
      const first = await store.appendToStream("Thing-1", commit, { expectedVersion: "no-stream" });
      await store.appendToStream("Thing-1", [event("C")], { expectedVersion: 2 });
      for (const expectedVersion of ["no-stream", "any", 3, 99] as const) {
        const again = [{ ...commit[0], type: "A", data: { y: 2, x: 1 }, id: commit[0]?.id.toUpperCase() ?? "" }, ...commit.slice(1)];
        expect(await store.appendToStream("Thing-1", again, { expectedVersion })).toEqual({ ...first, duplicate: true });
      }
      expect(await versionOf(store, "Thing-1")).toBe(3);
    });

    test("an id that stands for something else is refused", async () => {
      const store = await open();
      const [a, b, c] = [uuid(), uuid(), uuid()];
      const commit = [
        { ...event("A"), id: a },
        { ...event("B"), id: b },
        { ...event("C"), id: c },
      ];
      await store.appendToStream("Thing-1", commit);
      const others: [string, object[]][] = [
        ["other data", [{ ...event("A", 1), id: a }]],
        ["other type", [{ ...event("X"), id: a }]],
        ["other schema version", [{ ...event("A"), schemaVersion: 2, id: a }]],
        ["other metadata", [{ ...event("A"), metadata: { x: 1 }, id: a }]],
        ["one of them new", [{ ...event("C"), id: c }, event("D")]],
        ["a new one first", [event("D"), { ...event("A"), id: a }]],
        [
          "scattered",
          [
            { ...event("A"), id: a },
            { ...event("C"), id: c },
          ],
        ],
        [
          "in another order",
          [
            { ...event("B"), id: b },
            { ...event("A"), id: a },
          ],
        ],
      ];
      for (const [, events] of others) {
        await refuses(store, "Thing-1", "event-id-reused", EventIdReusedError, () =>
          store.appendToStream("Thing-1", events as ReturnType<typeof event>[]),
        );
      }
      await store.appendToStream("Other-1", [{ ...event("A", "another stream"), id: a }]);
    });

    test("bad input is refused with the field that is wrong, and all of the commit with it", async () => {
      const store = await open();
      const good = event("Good");
      const id = uuid();
      const cycle: { self?: unknown } = {};
      cycle.self = cycle;
      const bad: [field: string, events: unknown, options?: object][] = [
        ["events", []],
        ["events", undefined],
        ["events[1]", [good, null]],
        ["events[1].type", [good, { data: {} }]],
        ["events[0].type", [event("")]],
        ["events[0].type", [event("x".repeat(256))]],
        ["events[0].type", [event("line\nbreak")]],
        ["events[1].id", [good, { ...good, id: "no-uuid" }]],
        [
          "events[1].id",
          [
            { ...good, id },
            { ...good, id },
          ],
        ],
        ["events[0].data", [{ type: "NoData" }]],
        ["events[0].data.x", [event("A", { x: Number.NaN })]],
        ["events[0].data[0]", [event("A", [Number.POSITIVE_INFINITY])]],
        ["events[0].data.x", [event("A", { x: undefined })]],
        ["events[0].data.x", [event("A", { x: 1n })]],
        ["events[0].data.x", [event("A", { x: () => 1 })]],
        ["events[0].data.x", [event("A", { x: new Date(0) })]],
        ["events[0].data.self", [event("A", cycle)]],
        ["events[0].data.x", [event("A", { x: "\ud800" })]],
        ["events[0].data.\udc00", [event("A", { "\udc00": 1 })]],
        ["events[0].data", [event("A", { [Symbol("s")]: 1 })]],
        ["events[0].metadata", [{ ...good, metadata: [] }]],
        ["events[0].metadata", [{ ...good, metadata: { correlationId: 7 } }]],
        ["events[0].schemaVersion", [{ ...good, schemaVersion: 0 }]],
        ["events[0].schemaVersion", [{ ...good, schemaVersion: 1.5 }]],
        ["events[0].occurredAt", [{ ...good, occurredAt: "2010-10-02T09:20:39+02:00" }]],
        ["events[0].occurredAt", [{ ...good, occurredAt: "2026-02-30T10:00:00Z" }]],
        ["expectedVersion", [good], { expectedVersion: -1 }],
        ["expectedVersion", [good], { expectedVersion: 1.5 }],
        ["expectedVersion", [good], { expectedVersion: "some" }],
      ];
      for (const [field, events, options] of bad) {
        const append = () => store.appendToStream("Thing-1", events as ReturnType<typeof event>[], options);
        await refuses(store, "Thing-1", "invalid-request", InvalidRequestError, append, field);
      }
      for (const streamId of ["", "1-A", "Ünicode-1", "A/1", "A 1", `A${"x".repeat(255)}`]) {
        await expect(store.appendToStream(streamId, [good])).rejects.toMatchObject({
          code: "invalid-request",
          details: { field: "streamId" },
        });
        await expect(store.readStream(streamId)).rejects.toMatchObject({ code: "invalid-request" });
      }
    });

    test("limits are refused one above, and kept at the limit", async () => {
      const store = await open();
      const { eventBytes, commitEvents, jsonDepth } = DEFAULT_LIMITS;
      // `{}` of the metadata and the quotes of the text count too.
      const text = (bytes: number) => "x".repeat(bytes - 4);
      const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
      const many = (count: number) => Array.from({ length: count }, () => event("Many", 1));
      await store.appendToStream("Limit-1", [event("A", text(eventBytes))]);
      await store.appendToStream("Limit-1", [event("A", "é".repeat((eventBytes - 4) / 2))]);
      await store.appendToStream("Limit-1", [event("A", nested(jsonDepth))]);
      await store.appendToStream("Limit-1", many(commitEvents));
      const tooLarge = [
        [event("A", text(eventBytes + 1))],
        [event("A", "é".repeat((eventBytes - 4) / 2 + 1))],
        [event("A", nested(jsonDepth + 1))],
        many(commitEvents + 1),
        Array.from({ length: 17 }, () => event("A", text(eventBytes))),
      ];
      for (const events of tooLarge) {
        await refuses(store, "Limit-1", "payload-too-large", PayloadTooLargeError, () => store.appendToStream("Limit-1", events));
      }
      expect((await store.readStream("Limit-1")).events).toHaveLength(commitEvents + 3);
    });

    test("of many who append at once on the same version, exactly one wins", async () => {
      const store = await open();
      await store.appendToStream("Race-1", [event("Start")]);
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => store.appendToStream("Race-1", [event("Ran", i)], { expectedVersion: 1 })),
      );
      expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "version-conflict", actualVersion: 2 });
      }
      expect(await versionOf(store, "Race-1")).toBe(2);
    });

    test("a stream is read from either end, from any version, as far as wanted", async () => {
      const store = await open();
      for (const size of [2, 5, 1, 4])
        await store.appendToStream(
          "Read-1",
          Array.from({ length: size }, () => event("A")),
        );
      const versions = async (options: object) => (await store.readStream("Read-1", options)).events.map((item) => item.version as number);
      const all = Array.from({ length: 12 }, (_, i) => i + 1);
      expect(await versions({})).toEqual(all);
      expect(await versions({ from: 3, limit: 5 })).toEqual([3, 4, 5, 6, 7]);
      expect(await versions({ from: 12 })).toEqual([12]);
      expect(await versions({ from: 13 })).toEqual([]);
      expect(await versions({ limit: 1 })).toEqual([1]);
      expect(await versions({ limit: 5000 })).toEqual(all);
      expect(await versions({ direction: "backwards" })).toEqual([...all].reverse());
      expect(await versions({ direction: "backwards", limit: 3 })).toEqual([12, 11, 10]);
      expect(await versions({ direction: "backwards", from: 4, limit: 9 })).toEqual([4, 3, 2, 1]);
      expect(await versions({ direction: "backwards", from: 99, limit: 1 })).toEqual([12]);
      expect((await store.readStream("Read-1", { from: 13 })).version).toBe(12);
      for (const [field, options] of [
        ["from", { from: 0 }],
        ["from", { from: 1.5 }],
        ["limit", { limit: 0 }],
        ["limit", { limit: -1 }],
        ["direction", { direction: "up" }],
      ] as const) {
        await expect(versions(options)).rejects.toMatchObject({ code: "invalid-request", details: { field } });
      }
    });

    test("a stream that was never appended to is not found", async () => {
      const store = await open();
      await store.appendToStream("Thing-1", [event("A")]);
      for (const streamId of ["Thing-2", "Thing", "Thing-11", "thing-1"]) {
        const reading = expect(store.readStream(streamId)).rejects;
        await reading.toBeInstanceOf(StreamNotFoundError);
        await reading.toMatchObject({ details: { streamId }, message: expect.stringMatching(`^${streamId}: `) });
      }
    });

    test("the store is read in position order, each stream in its own", async () => {
      const store = await open();
      const appended: string[] = [];
      for (const [streamId, size] of [
        ["A-1", 2],
        ["B-1", 1],
        ["A-1", 1],
        ["A", 3],
        ["AB-1", 1],
        ["B-1", 70],
      ] as const) {
        await store.appendToStream(
          streamId,
          Array.from({ length: size }, (_, i) => event(`T${i % 3}`)),
        );
        for (let i = 0; i < size; i++) appended.push(streamId);
      }
      const all = await collect(store.readAll());
      expect(all.map((item) => item.position as number)).toEqual(appended.map((_, i) => i + 1));
      expect(all.map((item) => item.streamId)).toEqual(appended);
      for (const events of Map.groupBy(all, (item) => item.streamId).values())
        expect(events.map((item) => item.version)).toEqual(events.map((_, i) => i + 1));
      const read = (options: object) => collect(store.readAll(options));
      expect(await read({ after: 5 })).toEqual(all.slice(5));
      expect(await read({ limit: 3 })).toEqual(all.slice(0, 3));
      expect(await read({ after: 70, limit: 5 })).toEqual(all.slice(70, 75));
      for (const after of [all.length, all.length + 1, 1_000_000]) expect(await read({ after, category: "A" })).toEqual([]);
      expect(await read({ category: "A" })).toEqual(all.filter((item) => item.streamId === "A" || item.streamId.startsWith("A-")));
      expect(await read({ category: ["A", "AB"] })).toEqual(all.filter((item) => item.streamId !== "B-1"));
      expect(await read({ stream: "B-1", type: ["T0", "T2"], limit: 10 })).toEqual(
        all.filter((item) => item.streamId === "B-1" && item.type !== "T1").slice(0, 10),
      );
      await expect(read({ after: -1 })).rejects.toMatchObject({ code: "invalid-request", details: { field: "after" } });
    });

    test("an empty store is read to its end at once", async () => {
      for (const after of [0, 1000]) expect(await collect((await open()).readAll({ after }))).toEqual([]);
    });

    test("a closed store refuses", async () => {
      const store = await open();
      await store.close();
      await expect(store.appendToStream("A-1", [event("A")])).rejects.toBeInstanceOf(StoreClosedError);
      await expect(store.readStream("A-1")).rejects.toBeInstanceOf(StoreClosedError);
      await expect(collect(store.readAll())).rejects.toBeInstanceOf(StoreClosedError);
      await store.close();
    });
  });
}
