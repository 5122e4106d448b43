/** Mistakes of an app. Each is reported by an error that names the part that is wrong, and changes nothing. */
import type { Projection } from "../../../shared/device/projection.ts";
import type { NewEvent } from "../../../shared/event/event.ts";
import { ledgerOf } from "../models/ledger.ts";
import { NotEnough, stockDecider } from "../models/stock.ts";
import type { Store, Tab } from "../tab.ts";
import { compare, errorOf, type Looking } from "./habit.ts";

interface Mistake {
  readonly what: string;
  readonly make: () => unknown;
  readonly code?: string;
  readonly field?: string;
}

/** Codes of a device whose disk does not work just now. */
const BUSY: readonly string[] = ["storage-failed", "unavailable", "store-full"];

export async function makeMistakes(parts: Looking, tab: Tab, store: Store, isSynced: boolean): Promise<void> {
  const mistakes = [...ofEvents(store), ...ofReading(store), ...ofParts(tab, store, isSynced)];
  for (const { what, make, code = "invalid-request", field } of mistakes) {
    if (!parts.ground.random.chance(0.4)) continue;
    const error = await errorOf(tab.client, make);
    if (error !== undefined && BUSY.includes(error.code)) continue;
    compare(parts, `a mistake: ${what}`, { code: error?.code, field: field && error?.field }, { code, field });
  }
}

function ofEvents(store: Store): readonly Mistake[] {
  const circle: unknown[] = [];
  circle.push(circle);
  class Money {}
  const values: readonly (readonly [what: string, value: unknown, field: string])[] = [
    ["undefined", { a: undefined }, ".a"],
    ["a function", [() => 0], "[0]"],
    ["not a number", { a: { b: Number.NaN } }, ".a.b"],
    ["an infinite number", Number.NEGATIVE_INFINITY, ""],
    ["half a character", "\ud800", ""],
    ["an object of a class", new Money(), ""],
    ["a symbol as a key", { [Symbol("a")]: 1 }, ""],
    ["a circle", circle, "[0]"],
  ];
  const append =
    (event: object, streamId = "Diary") =>
    () =>
      store.appendToStream(streamId, [event as NewEvent]);
  const remark = { type: "Remarked", data: { value: 1 } };
  return [
    ...values.map(([what, data, field]) => ({
      what,
      make: append({ type: "Remarked", data }),
      field: `events[0].data${field}`,
    })),
    { what: "an unknown type", make: append({ type: "Sung", data: {} }), field: "events[0].type" },
    { what: "an older version", make: append({ type: "Remarked", schemaVersion: 9, data: {} }), field: "events[0].schemaVersion" },
    { what: "data that a schema rejects", make: append({ type: "Measured", data: {} }), field: "events[0].data.value" },
    { what: "data that a schema rejects later", make: append({ type: "Remarked", data: { value: "1" } }), field: "events[0].data.value" },
    { what: "no events", make: () => store.appendToStream("Diary", []), field: "events" },
    {
      what: "an event twice",
      make: () =>
        store.appendToStream(
          "Diary",
          [ONE, ONE].map((id) => ({ ...remark, id })),
        ),
      field: "events[1].id",
    },
    { what: "a stream that is none", make: append(remark, "1-Diary"), field: "streamId" },
    {
      what: "an expectation that is none",
      make: () => store.appendToStream("Diary", [remark], { expectedVersion: -1 as never }),
      field: "expectedVersion",
    },
    {
      what: "much too much",
      make: append({ type: "Remarked", data: { value: 1, text: "x".repeat(70_000) } }),
      code: "payload-too-large",
      field: "events[0]",
    },
  ];
}

const ONE = "00000000-0000-4000-8000-000000000001";

function ofReading(store: Store): readonly Mistake[] {
  const first = (options: Parameters<Store["readAll"]>[0]) => store.readAll(options).next();
  return [
    { what: "a direction that is none", make: () => store.readStream("Diary", { direction: "up" as never }), field: "direction" },
    { what: "a limit that is none", make: () => store.readStream("Diary", { limit: 0 }), field: "limit" },
    { what: "a position that is none", make: () => first({ after: -1 }), field: "after" },
    { what: "a category that is none", make: () => first({ category: "" }), field: "category" },
    { what: "a stream that does not exist", make: () => store.readStream("Nothing-1"), code: "stream-not-found" },
    {
      what: "a time that is none",
      make: () => store.aggregateStream("Diary", ledgerOf(1), { upTo: { time: "then" } }),
      field: "upTo.time",
    },
  ];
}

function ofParts(tab: Tab, store: Store, isSynced: boolean): readonly Mistake[] {
  const { client } = tab;
  const project = (given: object) => () => store.project({ name: "odd", version: 1, evolve: () => ({}), ...given } as never);
  const query = (given: object) => async () => {
    const table = await store.project(INDEXED);
    return table.query(given as never);
  };
  const subscribe = (given: object) => () =>
    new Promise((_, reject) => {
      store.subscribe(() => undefined, { ...given, onError: reject });
    });
  const control = async () => (await store.subscription("nobody")).resume();
  return [
    { what: "a store without a name", make: () => client.openStore({ name: "" }), field: "name" },
    { what: "an empty scope", make: () => client.openStore({ name: "x", sync: { url: "http://edge", filter: {} } }), field: "sync.filter" },
    { what: "a limit of nothing", make: () => client.openStore({ name: "x", limits: { pageEvents: 0 } }), field: "limits.pageEvents" },
    { what: "a projection without a name", make: project({ name: "" }), field: "projection.name" },
    { what: "an index that is no field", make: project({ indexes: ["a.b"] }), field: "projection.indexes" },
    {
      what: "two projections of a name",
      make: () => Promise.all([project({ name: "two" })(), project({ name: "two" })()]),
      field: "projection.name",
    },
    { what: "no such index", make: query({ index: "b" }), field: "index" },
    { what: "a key that is none", make: query({ equals: Number.NaN }), field: "equals" },
    { what: "a direction of rows that is none", make: query({ direction: "up" }), field: "direction" },
    { what: "a subscription without a name", make: subscribe({ name: "" }), field: "name" },
    { what: "a beginning that is none", make: subscribe({ from: -1 }), field: "from" },
    { what: "a time to begin that is none", make: subscribe({ from: { time: "then" } }), field: "from.time" },
    { what: "a subscription that nobody has begun", make: control, field: "name" },
    { what: "two deciders of a name", make: () => twoDeciders(store), field: "decider.name" },
    ...(isSynced
      ? []
      : [
          { what: "a sync of a local store", make: () => store.sync(), field: "sync" },
          { what: "a reset of a local store", make: () => store.reset(), field: "sync" },
        ]),
  ];
}

const INDEXED: Projection<{ readonly a: number }> = { name: "indexed", version: 1, indexes: ["a"], evolve: () => ({ a: 1 }) };

async function twoDeciders(store: Store): Promise<void> {
  const take = () => store.handle("Shelf-1", stockDecider(), { type: "Take", key: "x", wanted: 9, orFewer: false });
  const isRefused = (error: unknown) => {
    if (!(error instanceof NotEnough)) throw error;
  };
  await take().catch(isRefused);
  await take().catch(isRefused);
}
