/** A category that the edge decides: what is recorded there, for whoever sends whatever. */
import { expect, onTestFinished, test } from "vitest";
import { openMemoryEdge } from "../../../client/testing/index.ts";
import { type Authenticate, createEdge, type EdgeSettings } from "../../../worker/index.ts";
import { type StockCommand, stock } from "../../support/shelf.ts";

const ALL = ["read", "append", "handle", "admin"] as const;

/** The caller's actor and actions are in the request. */
const authenticate: Authenticate = (request) => {
  const [actor = null, ...can] = (request.headers.get("authorization") ?? "").split(" ");
  return { actor, grants: [{ store: "*", streams: ["*"], can: can.length === 0 ? [...ALL] : can }] };
};

/** What an answer may have that is looked at by its parts. */
interface Body {
  readonly results: readonly (Readonly<Record<string, unknown>> & { readonly status: string })[];
  readonly events: readonly { readonly type: string; readonly data: { readonly units: number }; readonly actor: string }[];
}

async function open(settings: EdgeSettings = {}) {
  const edge = await openMemoryEdge(createEdge({ deciders: { Stock: stock }, authenticate, ...settings }));
  onTestFinished(() => edge.close());
  const send = async (who: string, method: string, path: string, body?: unknown) => {
    const response = await edge.fetch(`/v1/shop${path}`, {
      method,
      headers: { authorization: who },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json<Body>() };
  };
  const handle = (
    data: StockCommand,
    {
      who = "ann handle",
      id = crypto.randomUUID(),
      streamId = "Stock-1",
      ...more
    }: { who?: string; id?: string; streamId?: string; version?: number; decider?: string } = {},
  ) => send(who, "POST", `/streams/${streamId}/commands`, { id, decider: "stock", version: 1, data, ...more });
  const push = (who: string, ...commits: object[]) => send(who, "POST", "/commits", { commits });
  const recorded = async (streamId = "Stock-1") => {
    const { status, body } = await send("root", "GET", `/streams/${streamId}`);
    if (status === 404) return [];
    return body.events.map(({ type, data, actor }) => [type, data.units, actor] as const);
  };
  return { edge, send, handle, push, recorded };
}

const taken = (units: number, more: { readonly occurredAt?: string } = {}) => ({
  id: crypto.randomUUID() as string,
  type: "StockTaken",
  data: { units, by: "ann" },
  ...more,
});
const command = (data: StockCommand, more: object = {}) => ({
  id: crypto.randomUUID() as string,
  decider: "stock",
  version: 1,
  data,
  ...more,
});
const commit = (events: readonly object[], more: object = {}) => ({ streamId: "Stock-1", expectedVersion: "any", events, ...more });

test("a category with what is no decider, or that is no category, is refused by name", () => {
  const created = (deciders: object) => () => createEdge({ deciders } as EdgeSettings);
  expect(created({ "Stock-1": stock })).toThrow(expect.objectContaining({ code: "invalid-request", field: "deciders.Stock-1" }));
  expect(created({ Stock: { ...stock, decide: 1 } })).toThrow(expect.objectContaining({ field: "deciders.Stock.decide" }));
  expect(created({ Stock: stock, Shelf: { ...stock } })).toThrow(expect.objectContaining({ field: "deciders.Shelf.name" }));
});

test("the same that the device expects is recorded as it was sent, and something else under the edge's ids", async () => {
  const { push, recorded } = await open();
  const event = { id: crypto.randomUUID(), type: "StockFilled", data: { units: 3 }, occurredAt: "2026-01-31T09:30:00.000Z" };
  const same = await push("ann handle", commit([event], { command: command({ fill: 3 }) }));
  expect(same.body.results).toEqual([{ status: "committed", streamId: "Stock-1", firstVersion: 1, version: 1, position: 1 }]);

  const sent = taken(1, { occurredAt: "2026-01-31T10:00:00.000Z" });
  const take = command({ take: 2 });
  const other = await push("ann handle", commit([sent], { command: take }));
  const decided = {
    id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    type: "StockTaken",
    schemaVersion: 1,
    data: { units: 2, by: "ann" },
    metadata: { $commandId: take.id },
    occurredAt: sent.occurredAt,
  };
  expect(other.body.results).toEqual([
    { status: "committed", streamId: "Stock-1", firstVersion: 2, version: 2, position: 2, decided: [decided] },
  ]);
  expect(await recorded()).toEqual([
    ["StockFilled", 3, "ann"],
    ["StockTaken", 2, "ann"],
  ]);
  // After a lost answer, and also if the stream has moved since.
  await push("ann handle", commit([taken(1)], { command: command({ take: 1 }) }));
  const again = await push("ann handle", commit([sent], { command: take }));
  expect(again.body.results).toEqual([{ ...other.body.results[0], status: "duplicate" }]);
  expect(await recorded()).toHaveLength(3);
});

test("what decide throws is a refusal with the app's name, message and data, and nothing is recorded", async () => {
  const { handle, push, recorded } = await open();
  await handle({ fill: 3 });
  const refusal = { name: "OutOfStock", message: "Only 3 are left.", data: { left: 3 } };
  const { body } = await push("ann handle", commit([taken(999)], { command: command({ take: 999 }) }));
  expect(body.results).toEqual([{ status: "refused", streamId: "Stock-1", ...refusal }]);
  expect(await handle({ take: 4 })).toEqual({
    status: 409,
    body: expect.objectContaining({ code: "command-refused", detail: refusal.message, streamId: "Stock-1", refusal }),
  });
  expect(await recorded()).toEqual([["StockFilled", 3, "ann"]]);
});

test("a command that was refused, or changed nothing, is answered the same when it comes again, whatever has happened since", async () => {
  const { edge, handle, push, recorded } = await open();
  const [take, nothing] = [command({ take: 1 }), command({ take: 0 })];
  await handle({ fill: 1 });
  await handle({ take: 1 });
  const both = () => push("ann handle", commit([taken(1)], { command: take }), commit([], { command: nothing }));
  const first = await both();
  expect(first.body.results).toEqual([
    { status: "refused", streamId: "Stock-1", name: "OutOfStock", message: "Only 0 are left.", data: { left: 0 } },
    { status: "committed", streamId: "Stock-1", firstVersion: 3, version: 2, position: null, decided: [] },
  ]);
  await handle({ fill: 3 });
  edge.restart();
  expect((await both()).body.results[0]).toEqual(first.body.results[0]);
  expect((await both()).body.results[1]).toMatchObject({ status: "duplicate", decided: [] });
  expect((await recorded()).at(-1)).toEqual(["StockFilled", 3, "ann"]);
  // Another command asks for the same, and gets it.
  expect(await handle({ take: 1 })).toMatchObject({ status: 201 });
});

test("a stream notes the last 500 commands that came to nothing", async () => {
  const { handle } = await open();
  await handle({ fill: 1 });
  await handle({ take: 1 });
  const ids = Array.from({ length: 502 }, () => crypto.randomUUID() as string);
  for (const id of ids) await handle({ take: 1 }, { id });
  await handle({ fill: 9 });
  const answers = await Promise.all([0, 1, 2, 501].map((i) => handle({ take: 1 }, { id: ids[i] ?? "" })));
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 409, 409]);
});

test("nothing is noted of a stream that nobody has written to: a command of it is decided each time", async () => {
  const { handle, recorded } = await open();
  const { id } = command({ take: 1 });
  expect(await handle({ take: 1 }, { id })).toMatchObject({ status: 409 });
  await handle({ fill: 3 });
  expect(await handle({ take: 1 }, { id })).toMatchObject({ status: 201 });
  expect(await recorded()).toHaveLength(2);
});

test("several commands of a push are decided one on the other, and one that is refused does not take the next along", async () => {
  const { handle, push, recorded } = await open();
  await handle({ fill: 3 });
  const { body } = await push(
    "ann handle",
    ...[2, 2, 1].map((units, i) => commit([taken(units)], { expectedVersion: 1 + i, command: command({ take: units }) })),
  );
  expect(body.results.map(({ status }) => status)).toEqual(["committed", "refused", "committed"]);
  expect(await recorded()).toEqual([
    ["StockFilled", 3, "ann"],
    ["StockTaken", 2, "ann"],
    ["StockTaken", 1, "ann"],
  ]);
});

test("over HTTP a command is answered 201 with its events, 200 when it comes again, and 200 without events if it changes nothing", async () => {
  const { handle } = await open();
  const id = crypto.randomUUID();
  const first = await handle({ fill: 3 }, { id });
  expect(first).toMatchObject({ status: 201, body: { firstVersion: 1, version: 1, position: 1, duplicate: false } });
  expect(first.body.events).toEqual([expect.objectContaining({ type: "StockFilled", data: { units: 3 }, metadata: { $commandId: id } })]);
  // Whatever the command says now: its id is the key.
  expect(await handle({ fill: 9 }, { id })).toEqual({ status: 200, body: { ...first.body, duplicate: true } });
  expect(await handle({ take: 0 })).toMatchObject({ status: 200, body: { events: [], version: 1, position: null } });
});

test("events without a command need append; who may only handle is told that a command is required", async () => {
  const { send, handle, push, recorded } = await open();
  const events = [taken(1)];
  for (const who of ["ann handle", "ann read handle"]) {
    expect(await send(who, "POST", "/streams/Stock-1", { events })).toMatchObject({ status: 403, body: { code: "command-required" } });
    expect((await push(who, commit(events))).body.results).toEqual([
      expect.objectContaining({ status: "rejected", code: "command-required" }),
    ]);
    expect(await send(who, "POST", "/streams/Other-1", { events })).toMatchObject({ status: 403, body: { code: "forbidden" } });
  }
  expect(await send("ann read", "POST", "/streams/Stock-1", { events })).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect(await recorded()).toEqual([]);
  expect(await send("clerk append", "POST", "/streams/Stock-1", { events })).toMatchObject({ status: 201 });
  expect(await recorded()).toEqual([["StockTaken", 1, "clerk"]]);
  // What was appended without a command counts for the next one.
  await handle({ fill: 3 });
  await send("clerk append", "POST", "/streams/Stock-1", { events: [taken(1)] });
  expect(await handle({ take: 2 })).toMatchObject({ status: 409, body: { detail: "Only 1 are left." } });
});

test("a command for another decider or another version of it waits", async () => {
  const { handle, push, recorded } = await open();
  for (const other of [{ version: 2 }, { decider: "store" }]) {
    expect(await handle({ fill: 1 }, other)).toMatchObject({ status: 409, body: { code: "decider-version" } });
    const { body } = await push(
      "ann handle",
      commit([], { command: command({ fill: 1 }, other) }),
      commit([], { command: command({ fill: 1 }) }),
    );
    expect(body.results.map(({ status, code }: { status: string; code?: string }) => [status, code])).toEqual([
      ["rejected", "decider-version"],
      ["skipped", undefined],
    ]);
  }
  expect(await recorded()).toEqual([]);
});

test("what evolve throws is a fault: nothing is recorded, and the command may be sent again", async () => {
  let isBroken = false;
  const fragile = {
    ...stock,
    evolve(...given: Parameters<typeof stock.evolve>) {
      if (isBroken) throw new TypeError("units of undefined");
      return stock.evolve(...given);
    },
  };
  const { handle, push, recorded } = await open({ deciders: { Stock: fragile } });
  isBroken = true;
  const fill = command({ fill: 1 });
  expect(await handle({ fill: 1 }, { id: fill.id })).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect(await push("ann handle", commit([], { command: fill }))).toMatchObject({ status: 503 });
  expect(await recorded()).toEqual([]);
  isBroken = false;
  expect(await handle({ fill: 1 }, { id: fill.id })).toMatchObject({ status: 201 });
});

test("a script that may only handle gets no 999 recorded, in twenty ways", async () => {
  const { send, handle, push, recorded } = await open();
  await handle({ fill: 3 });
  const who = "mallory read handle";
  const good = command({ take: 1 });
  await push("ann handle", commit([taken(1)], { command: good }));
  const bad = () => taken(999);
  const post = (path: string, body: unknown) => send(who, "POST", path, body);
  const ways: (() => Promise<unknown>)[] = [
    () => post("/streams/Stock-1", { events: [bad()] }),
    () => post("/streams/Stock-1", { events: [bad()], expectedVersion: 2 }),
    () => push(who, commit([bad()])),
    () => push(who, commit([bad()], { command: null })),
    () => push(who, commit([bad()], { command: {} })),
    () => push(who, commit([bad()], { command: command({ take: 999 }) })),
    () => push(who, commit([bad()], { command: command({ take: 0 }) })),
    () => push(who, commit([bad()], { command: command({ fill: 0 }) })),
    () => push(who, commit([taken(1), bad()], { command: command({ take: 1 }) })),
    () => push(who, commit([bad()], { command: command({ take: 999 }, { version: 99 }) })),
    () => push(who, commit([bad()], { command: command({ take: 999 }, { version: 0 }) })),
    () => push(who, commit([bad()], { command: command({ take: 999 }, { decider: "other" }) })),
    () => push(who, commit([bad()], { command: { ...good, data: { take: 999 } } })),
    () => push(who, { ...commit([bad()], { command: good }), streamId: "Stock-2" }),
    () => push(who, { ...commit([bad()]), streamId: "Stock" }),
    () => push(who, { ...commit([bad()]), streamId: "Other-1" }),
    () => push(who, commit([bad()], { command: command({ take: 999 }, { decide: () => bad() }) })),
    () => push(who, commit([{ ...bad(), metadata: { $commandId: good.id } }])),
    () => push(who, commit([], { command: command({ take: 999 }) }), commit([bad()])),
    () => post("/streams/Stock-1/commands", { decider: "stock", version: 1, data: { take: 999 }, events: [bad()] }),
    () => post("/streams/Stock-1/commands", { ...good, data: { take: 999 } }),
    () => post("/reconcile/streams", { streams: [{ streamId: "Stock-1", replaceFrom: 1, events: [bad()] }] }),
    () => post("/restore", { id: crypto.randomUUID() }),
    () => push(who, commit([bad()], { command: { ...command({ take: 2 }), data: { fill: "999" } } })),
  ];
  expect(ways.length).toBeGreaterThanOrEqual(20);
  for (const way of ways) await way();
  for (const streamId of ["Stock-1", "Stock-2", "Stock", "Other-1"]) {
    for (const [type, units] of await recorded(streamId))
      expect([streamId, type, type === "StockTaken" && units]).not.toEqual([streamId, type, 999]);
  }
  // What the third of the ways with a good command takes is there to be taken.
  expect((await recorded()).filter(([type]) => type === "StockTaken")).toEqual([
    ["StockTaken", 1, "ann"],
    ["StockTaken", 1, "mallory"],
  ]);
});

test("the edge forgets what it has folded, and folds on from its snapshot", async () => {
  let folded = 0;
  const counting = {
    ...stock,
    evolve(...given: Parameters<typeof stock.evolve>) {
      folded++;
      return stock.evolve(...given);
    },
  };
  const { edge, handle } = await open({ deciders: { Stock: counting } });
  for (let n = 0; n < 230; n++) await handle({ fill: 1 });
  edge.restart();
  folded = 0;
  expect(await handle({ take: 231 })).toMatchObject({ status: 409, body: { detail: "Only 230 are left." } });
  // The snapshots are of versions 100 and 200.
  expect(folded).toBe(30);
  folded = 0;
  expect(await handle({ take: 230 })).toMatchObject({ status: 201 });
  expect(folded).toBe(1);
});
