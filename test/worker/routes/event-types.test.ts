/** An edge that knows event types: what it accepts, and that it returns what it accepted. */
import { createExecutionContext, env } from "cloudflare:test";
import { expect, test } from "vitest";
import { connectStore } from "../../../client/http.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { defineEventTypes, type EventTypes, type StandardSchema } from "../../../shared/event/event-types.ts";
import type { PushAnswer } from "../../../shared/wire/wire.ts";
import { createEdge, type EdgeEnv, type EdgeSettings } from "../../../worker/index.ts";
import { completeSubscriptions } from "../../../worker/subscription/settings.ts";
import { eventTypes, requested } from "../../support/event-types.ts";

/** A store at an edge that knows the event types. All edges of this file have the same objects. @param id default: a new one */
function storeAt(settings: EdgeSettings = { eventTypes }, bindings: EdgeEnv = env, id = crypto.randomUUID()) {
  const edge = createEdge(settings);
  const url = `https://edge.example/v1/${id}`;
  const send: typeof fetch = async (input, init) => edge.fetch(new Request(input as string, init), bindings, createExecutionContext());
  const post = async (path: string, body: object) => {
    const response = await send(url + path, { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  };
  return {
    append: (streamId: string, ...events: object[]) => post(`/streams/${streamId}`, { events }),
    push: async (...commits: [streamId: string, ...events: object[]][]) => {
      const { body } = await post("/commits", { commits: commits.map(([streamId, ...events]) => ({ streamId, events })) });
      return (body as unknown as PushAnswer).results;
    },
    /** As an app of its own reads and writes it. */
    connect: (types: EventTypes = eventTypes) => connectStore({ url, fetch: send, eventTypes: types }),
    /** As anybody does. */
    plain: connectStore({ url, fetch: send }),
  };
}

type Store = ReturnType<typeof storeAt>;

async function recorded({ plain }: Store) {
  const events: [string, number, unknown][] = [];
  for await (const { type, schemaVersion, data } of plain.readAll()) events.push([type, schemaVersion, data]);
  return events;
}

const REFUSED: [string, object, string, RegExp][] = [
  ["data that valibot refuses", requested("phone"), "events[0].data.channel", /match the schema of PermitRequested: .*"phone"/],
  [
    "data that zod refuses",
    { type: "PermitGranted", data: { until: 2027 } },
    "events[0].data.until",
    /match the schema of PermitGranted: .*string/,
  ],
  [
    "data that is refused later",
    { type: "Commented", data: {} },
    "events[0].data.text",
    /match the schema of Commented: A comment has a text/,
  ],
  ["a type that is not registered", { type: "constructor", data: {} }, "events[0].type", /constructor is not a registered event type/],
  ["a newer version", { ...requested(), schemaVersion: 4 }, "events[0].schemaVersion", /with version 3,.*has version 4: deploy the edge/],
  ["data that is no data", { type: "Noted" }, "events[0].data", /undefined/],
];

test.each(REFUSED)("an append with %s is refused with its field, and wakes no stream", async (_, event, field, sentence) => {
  const fail = () => {
    throw new Error("an object was asked for");
  };
  // A push is answered with the log's id, which the log alone knows.
  const store = storeAt({ eventTypes }, { ...env, STREAMS: new Proxy(env.STREAMS, { get: fail }) });
  expect(await store.append("Permit-1", event)).toMatchObject({
    status: 400,
    body: { code: "invalid-request", field, detail: expect.stringMatching(sentence) },
  });
  const at = `commits[0].${field}`;
  expect(await store.push(["Permit-1", event])).toMatchObject([{ status: "rejected", code: "invalid-request", field: at }]);
});

test("a push refuses the commits that are wrong, and what stands behind them in their streams; the others go on", async () => {
  const store = storeAt();
  const results = await store.push(
    ["Permit-1", requested()],
    ["Permit-2", requested(), requested("phone")],
    ["Permit-1", { type: "Commented", data: { text: "fine" } }],
    ["Permit-2", requested()],
    ["Permit-3", { type: "Lost", data: 1 }],
    ["Permit-4", { type: "Noted", data: 1 }],
  );
  expect(results).toMatchObject([
    { status: "committed", version: 1 },
    { status: "rejected", streamId: "Permit-2", code: "invalid-request", field: "commits[1].events[1].data.channel" },
    { status: "committed", version: 2 },
    { status: "skipped", streamId: "Permit-2" },
    { status: "rejected", streamId: "Permit-3", field: "commits[4].events[0].type" },
    { status: "committed", version: 1 },
  ]);
  expect((await recorded(store)).map(([type]) => type).sort()).toEqual(["Commented", "Noted", "PermitRequested"]);
});

test("a version that is left out is the current one, and the data stays as it was handed over", async () => {
  const store = storeAt();
  const data = { channel: "web", lines: [], note: "not in the schema" };
  expect((await store.append("Permit-1", { type: "PermitRequested", data })).status).toBe(201);
  expect(await recorded(store)).toEqual([["PermitRequested", 3, data]]);
});

test("what a schema would make of the data is not stored", async () => {
  const changing: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => ({ value: Object.assign(value as object, { added: true }) }),
    },
  };
  const store = storeAt({ eventTypes: defineEventTypes({ A: { version: 1, schema: changing } }) });
  await store.append("S-1", { type: "A", data: { n: 1 } });
  await store.push(["S-1", { type: "A", data: { n: 2 } }]);
  expect(await recorded(store)).toEqual([
    ["A", 1, { n: 1 }],
    ["A", 1, { n: 2 }],
  ]);
});

test("an app of before goes on appending its version; every reader has the log as it was appended, and reads it in their own version", async () => {
  const older = defineEventTypes({ PermitRequested: { version: 1 }, Commented: { version: 1 } });
  const store = storeAt();
  const [before, now] = [store.connect(older), store.connect()];
  await before.appendToStream("Permit-1", [{ type: "PermitRequested", data: { via: "web" } }]);
  await now.appendToStream("Permit-1", [requested("desk")]);
  expect(await recorded(store)).toEqual([
    ["PermitRequested", 1, { via: "web" }],
    ["PermitRequested", 3, { channel: "desk", lines: [{ pages: 2 }] }],
  ]);
  const read = async (reader: typeof now) =>
    (await reader.readStream("Permit-1")).events.map(({ schemaVersion, data }) => [schemaVersion, data]);
  expect(await read(now)).toEqual([
    [3, { channel: "web", lines: [] }],
    [3, { channel: "desk", lines: [{ pages: 2 }] }],
  ]);
  expect(await read(before)).toEqual([
    [1, { via: "web" }],
    [3, { channel: "desk", lines: [{ pages: 2 }] }],
  ]);
});

test("an edge that has learnt a newer version finds what was sent before, and sent again, as a duplicate", async () => {
  const id = crypto.randomUUID();
  const before = storeAt({ eventTypes: defineEventTypes({ PermitRequested: { version: 1 } }) }, env, id);
  const commit = before.plain.prepare("Permit-1", [{ type: "PermitRequested", data: { via: "web" } }]);
  expect(await before.plain.push([commit])).toMatchObject([{ status: "committed" }]);
  expect(await storeAt({ eventTypes }, env, id).plain.push([commit])).toMatchObject([{ status: "duplicate", firstVersion: 1 }]);
});

test("who may not append to a stream is told that, and nothing of its events", async () => {
  const grants = [{ store: "*", streams: ["Mine-1"], can: ["append"] }];
  const store = storeAt({ eventTypes, authenticate: () => ({ actor: "ann", grants }) });
  expect(await store.append("Other-1", requested("phone"))).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect(await store.push(["Other-1", requested("phone")], ["Mine-1", requested()])).toMatchObject([
    { status: "rejected", code: "forbidden" },
    { status: "committed" },
  ]);
});

test("a schema that fails refuses its commit alone", async () => {
  const failing: StandardSchema = { "~standard": { version: 1, vendor: "test", validate: () => JSON.parse("{") } };
  const store = storeAt({ eventTypes: defineEventTypes({ A: { version: 1, schema: failing }, B: { version: 1 } }) });
  expect(await store.push(["S-1", { type: "A", data: 1 }], ["S-2", { type: "B", data: 1 }])).toMatchObject([
    { status: "rejected", code: "invalid-request", detail: expect.stringContaining("the schema failed: SyntaxError") },
    { status: "committed" },
  ]);
});

test("a subscription's handler is given the current versions, and what no upcaster can bring there is refused", () => {
  const handed: unknown[] = [];
  const handle = (events: readonly ConfirmedEvent[]) => void handed.push(...events.map(({ schemaVersion, data }) => [schemaVersion, data]));
  const mailer = completeSubscriptions({ mailer: { handle } }, { eventTypes }).get("mailer");
  const event = (data: ConfirmedEvent["data"], type = "PermitRequested") =>
    ({ type, schemaVersion: 1, data, metadata: {} }) as ConfirmedEvent;
  const context = { store: "s", subscription: "mailer", failures: 0, isReplay: false, signal: new AbortController().signal };
  mailer?.handle([event({ via: "web" }), event(1, "Unheard")], env, context);
  expect(handed).toEqual([
    [3, { channel: "web", lines: [] }],
    [1, 1],
  ]);
  expect(() => mailer?.handle([event(null)], env, context)).toThrow(expect.objectContaining({ code: "invalid-request" }));
});
