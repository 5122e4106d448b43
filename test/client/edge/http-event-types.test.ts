/** Event types in the HTTP store: what it sends, and what it reads. */
import { expect, test } from "vitest";
import { type ConnectOptions, connectStore } from "../../../client/http.ts";
import { PayloadTooLargeError } from "../../../client/index.ts";
import { checkEvents, createReader } from "../../../client/streams/event-checks.ts";
import type { ConfirmedEvent, NewEvent } from "../../../shared/event/event.ts";
import { defineEventTypes, type StandardSchema, UpcastError } from "../../../shared/event/event-types.ts";
import { DEFAULT_LIMITS } from "../../../shared/limits.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import { eventTypes, requested } from "../../support/event-types.ts";

const confirmed = (n: number, type: string, schemaVersion: number, data: ConfirmedEvent["data"]): ConfirmedEvent => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  streamId: "Permit-1",
  version: toVersion(n),
  position: toPosition(n),
  type,
  schemaVersion,
  data,
  metadata: {},
  occurredAt: "2026-01-01T00:00:00Z",
  recordedAt: "2026-01-01T00:00:00Z",
  actor: null,
});

const LOG = [
  confirmed(1, "PermitRequested", 1, { via: "web" }),
  confirmed(2, "PermitReviewed", 1, { by: "a newer app" }),
  confirmed(3, "PermitRequested", 4, { of: "a newer app" }),
  confirmed(4, "PermitRequested", 3, { channel: "desk", lines: [] }),
];
/** Of the log, as this app reads it: schema version and data. */
const READ = [
  [3, { channel: "web", lines: [] }],
  [1, { by: "a newer app" }],
  [4, { of: "a newer app" }],
  [3, { channel: "desk", lines: [] }],
];

/** A store over an edge that holds the log and takes everything; and the bodies that it was sent. */
function storeOver(events: readonly ConfirmedEvent[], options: Partial<ConnectOptions> = {}) {
  const sent: { path: string; body: { events?: NewEvent[]; commits?: { events: NewEvent[] }[] } }[] = [];
  const send: typeof fetch = async (input, init) => {
    const { pathname } = new URL(String(input));
    if (init?.method === "POST") {
      const body = JSON.parse(String(init.body));
      sent.push({ path: pathname, body });
      const taken = { streamId: "Permit-1", firstVersion: 1, version: 1, position: 1 };
      if (body.commits === undefined) return Response.json({ ...taken, duplicate: false });
      return Response.json({ log: "l", results: body.commits.map(() => ({ ...taken, status: "committed" })) });
    }
    if (pathname.endsWith("/streams/Permit-1")) return Response.json({ streamId: "Permit-1", version: events.length, events });
    if (new Headers(init?.headers).get("accept") !== "text/event-stream") {
      return Response.json({ log: "l", events, position: events.length, head: events.length });
    }
    return new Response(events.map((event) => `id: ${event.position}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
  };
  const store = connectStore({ url: "https://edge.example/v1/permits", fetch: send, eventTypes, ...options });
  return { store, sent };
}

async function take<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const event of events) if (taken.push(event) === count) break;
  return taken;
}

const told = (events: readonly ConfirmedEvent[]) => events.map(({ schemaVersion, data }) => [schemaVersion, data]);

test("a stream, the log and the live feed are read in the current versions, and what is not known is told of", async () => {
  const unknown: unknown[] = [];
  const { store } = storeOver(LOG, { onUnknownEvent: ({ version }) => unknown.push(version) });
  const { events } = await store.readStream("Permit-1");
  expect(events.map(({ schemaVersion, data }) => [schemaVersion, data])).toEqual(READ);
  expect(events.every(({ pending }) => pending === false)).toBe(true);
  expect(told(await take(store.readAll(), 4))).toEqual(READ);
  expect(told(await take(store.tail(), 4))).toEqual(READ);
  expect(unknown).toEqual([2, 3, 2, 3, 2, 3]);
});

test("without event types everything is read and sent as it is", async () => {
  const { store, sent } = storeOver(LOG, { eventTypes: undefined });
  expect((await take(store.readAll(), 4)).map(({ data }) => data)).toEqual(LOG.map(({ data }) => data));
  await store.appendToStream("Permit-1", [{ type: "Anything", data: 1 }]);
  expect(sent[0]?.body.events).toMatchObject([{ type: "Anything", schemaVersion: 1, data: 1 }]);
});

test("an upcaster that fails ends the reading at its event, which says where to go on", async () => {
  const failing = defineEventTypes({
    PermitRequested: {
      version: 2,
      upcast: {
        1: () => {
          throw new Error("no such channel");
        },
      },
    },
  });
  const log = [
    confirmed(1, "PermitRequested", 2, {}),
    confirmed(2, "PermitRequested", 1, { via: "?" }),
    confirmed(3, "PermitRequested", 2, {}),
  ];
  const { store } = storeOver(log, { eventTypes: failing });
  for (const read of [() => store.readStream("Permit-1"), () => take(store.readAll(), 3), () => take(store.tail(), 3)]) {
    const error = await read().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UpcastError);
    expect(error).toMatchObject({ schemaVersion: 1, event: { id: log[1]?.id, type: "PermitRequested", position: 2, data: { via: "?" } } });
  }
});

test("what is appended is sent in the current version, as it was handed over", async () => {
  const { store, sent } = storeOver([]);
  const data = { channel: "web", lines: [], note: "not in the schema" };
  await store.appendToStream("Permit-1", [
    { type: "PermitRequested", data },
    { ...requested(), schemaVersion: 3 },
  ]);
  await store.push([store.prepare("Permit-1", [{ type: "Commented", data: { text: "fine" } }])]);
  expect(sent[0]?.body.events).toMatchObject([{ schemaVersion: 3, data }, { schemaVersion: 3 }]);
  expect(sent[1]?.body.commits).toMatchObject([{ events: [{ schemaVersion: 1, data: { text: "fine" } }] }]);
});

test.each<[string, NewEvent, string, RegExp]>([
  ["data that its schema refuses", requested("phone"), "events[1].data.channel", /does not match the schema of PermitRequested: .*"phone"/],
  ["data that its schema refuses later", { type: "Commented", data: {} }, "events[1].data.text", /A comment has a text/],
  ["an older version", { ...requested(), schemaVersion: 2 }, "events[1].schemaVersion", /leave out schemaVersion/],
  ["a newer version", { ...requested(), schemaVersion: 4 }, "events[1].schemaVersion", /leave out schemaVersion/],
  ["a type that is not registered", { type: "Lost", data: 1 }, "events[1].type", /Lost is not a registered event type/],
  ["what is no event", JSON.parse("[]"), "events[1]", /An event must be an object/],
  ["what JSON can't carry", { type: "Noted", data: { a: new Date(0) } }, "events[1].data.a", /JSON can't represent/],
])("nothing is sent of a commit with %s", async (_, event, field, sentence) => {
  const { store, sent } = storeOver([]);
  const refused = { code: "invalid-request", field, message: expect.stringMatching(sentence) };
  await expect(store.appendToStream("Permit-1", [{ type: "Noted", data: 1 }, event])).rejects.toMatchObject(refused);
  expect(sent).toEqual([]);
});

test("a push with a commit that is refused says which, and sends nothing", async () => {
  const { store, sent } = storeOver([]);
  const commits = [store.prepare("Permit-1", [requested()]), store.prepare("Permit-2", [requested("phone")])];
  await expect(store.push(commits)).rejects.toMatchObject({ code: "invalid-request", field: "commits[1].events[0].data.channel" });
  expect(sent).toEqual([]);
});

test("what was checked is what is appended, whatever the app does with it meanwhile", async () => {
  const { promise, resolve } = Promise.withResolvers<object>();
  const slow: StandardSchema = { "~standard": { version: 1, vendor: "slow", validate: () => promise } };
  const data = { list: [1] };
  const event = { type: "A", data, metadata: { note: "then" } };
  const checking = checkEvents(defineEventTypes({ A: { version: 1, schema: slow } }), [event]);
  data.list.push(2);
  event.metadata.note = "now";
  event.type = "B";
  resolve({ value: "not stored" });
  expect(await checking).toMatchObject([{ type: "A", schemaVersion: 1, data: { list: [1] }, metadata: { note: "then" } }]);
});

test("events keep what they were given, and are checked against the limits of their store", async () => {
  const given = { ...requested(), id: crypto.randomUUID(), occurredAt: "2026-01-01T00:00:00Z", metadata: { correlationId: "c" } };
  expect(await checkEvents(eventTypes, [given])).toEqual([{ ...given, schemaVersion: 3 }]);
  const limits = { ...DEFAULT_LIMITS, eventBytes: 10 };
  await expect(checkEvents(eventTypes, [given], { limits, field: "commits[4]." })).rejects.toThrow(
    expect.objectContaining({ constructor: PayloadTooLargeError, details: { field: "commits[4].events[0]" } }),
  );
});

test("checks that are asked for one after the other end in that order, whatever they are of", async () => {
  const ended: number[] = [];
  const [event, note] = [requested(), { type: "Noted", data: 1 }];
  const sizes = [100, 1, 0, 3, 50, 1];
  await Promise.all(
    sizes.map(async (size, i) => {
      await checkEvents(eventTypes, [...Array.from({ length: size }, () => event), ...(i % 2 === 0 ? [note] : [])]);
      ended.push(i);
    }),
  );
  expect(ended).toEqual([0, 1, 2, 3, 4, 5]);
});

test("a reader tells of nobody where nobody asks, and hands over the same event where there is nothing to do", () => {
  const [, unknown, , current] = LOG;
  const read = createReader(eventTypes);
  for (const event of [unknown, current]) expect(event && read(event)).toBe(event);
});
