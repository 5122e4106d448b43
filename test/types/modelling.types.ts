/**
 * What must and what must not compile when an app uses deciders and projections: all types come from the decider or projection. Never run.
 */
import {
  type ConfirmedEvent,
  type Decider,
  HandlerError,
  type LiveState,
  type LiveValue,
  openStore,
  type Projection,
  type Store,
} from "../../client/index.ts";
import { useRows, useStreamState } from "../../client/react.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isTrue = <T extends true>(): T | undefined => undefined;

declare const store: Store;

interface Stock {
  readonly left: number;
}
type Command = { readonly type: "Fill"; readonly units: number } | { readonly type: "Take"; readonly by: string };
type Filled = { readonly type: "Filled"; readonly data: { readonly units: number } };
type Taken = { readonly type: "Taken"; readonly data: { readonly by: string } };

declare const stock: Decider<Stock, Command, Filled | Taken>;

// Handling a command.
const handled = await store.handle("Stock-1", stock, { type: "Fill", units: 3 });
isTrue<Equal<typeof handled.state, Stock>>();
isTrue<Equal<(typeof handled.events)[number], Filled | Taken>>();
// @ts-expect-error a command that the decider does not know
store.handle("Stock-1", stock, { type: "Lose" });
// @ts-expect-error a command with a wrong value
store.handle("Stock-1", stock, { type: "Fill", units: "3" });
// @ts-expect-error a command of which nothing is known
store.handle("Stock-1", stock, JSON.parse("{}") as unknown);
// @ts-expect-error a command that is more than the decider takes
store.handle("Stock-1", stock, { type: "Fill" as string, units: 3 });
// @ts-expect-error the state is the decider's
handled.state satisfies { readonly right: number };
// @ts-expect-error an event is caused by another one
store.handle("Stock-1", stock, { type: "Fill", units: 3 }, { causedBy: "8f0f" });

// An initial state is a state, or a function that returns one.
declare const decide: (command: Command, state: Stock) => Filled;
({ name: "stock", version: 1, initialState: () => ({ left: 3 }), evolve: (state) => state, decide }) satisfies Decider<
  Stock,
  Command,
  Filled
>;
// @ts-expect-error a function that returns something else
({ name: "stock", version: 1, initialState: () => 3, evolve: (state) => state, decide }) satisfies Decider<Stock, Command, Filled>;
const inferred = await store.aggregateStream("Stock-1", { name: "n", version: 1, initialState: () => 0, evolve: (count: number) => count });
isTrue<Equal<typeof inferred.state, number>>();

// Reading a state.
const aggregate = await store.aggregateStream("Stock-1", stock);
isTrue<Equal<typeof aggregate.state, Stock>>();
store.aggregateStream("Stock-1", stock, { upTo: { position: 17 } });
// @ts-expect-error the state is the decider's
aggregate.state.right;
// @ts-expect-error up to a version, a position or a time
store.aggregateStream("Stock-1", stock, { upTo: 17 });
// @ts-expect-error what only folds has a name and a version, too
store.aggregateStream("Stock-1", { initialState: { left: 0 }, evolve: (state: Stock) => state });
// @ts-expect-error a state that its own fold does not answer
store.aggregateStream("Stock-1", { name: "n", version: 1, initialState: { left: 0 }, evolve: () => "none" });

const live = store.live("Stock-1", stock);
isTrue<Equal<typeof live, LiveValue<LiveState<Stock>>>>();
live.subscribe(({ state }) => state.left);
// @ts-expect-error the live value is of the decider's state
live.getSnapshot().state satisfies string;
// @ts-expect-error a listener is given the live value
live.subscribe((value: string) => value);

// Writing a decider.
const decides: Decider<Stock, Command, Filled> = {
  name: "stock",
  version: 1,
  initialState: { left: 0 },
  // @ts-expect-error evolve answers a state
  evolve: (state, { data }) => state.left + data.units,
  // @ts-expect-error decide answers events of the decider
  decide: () => ({ type: "Lost", data: { units: 1 } }),
};
const narrows: Decider<Stock, Command, Filled | Taken> = {
  name: "stock",
  version: 1,
  // @ts-expect-error the initial state is a state
  initialState: "none",
  // @ts-expect-error of both events nobody knows units
  evolve: (state, { data }) => ({ left: state.left + data.units }),
  // @ts-expect-error a promise is no decision
  decide: async () => ({ type: "Taken", data: { by: "ann" } }),
};
void [decides, narrows];

// Projections.
interface Permit {
  readonly status: string;
  readonly steps: number;
  readonly until?: string;
  readonly history: readonly string[];
}
type Step = Pick<ConfirmedEvent, "streamId"> & { readonly type: "Asked" | "Granted" };

declare const permits: Projection<Permit, Step>;
const table = await store.project(permits);
isTrue<Equal<Awaited<ReturnType<typeof table.get>>, Permit | undefined>>();
const [found] = await table.query({ index: "status", equals: "Asked" });
found?.row satisfies Permit | undefined;
table.query({ index: "until", from: "2026-01-01" });
isTrue<Equal<Awaited<ReturnType<typeof table.upTo>>, ReadonlyMap<string, Permit>>>();
table.live({ index: "steps", limit: 10 }).subscribe(({ rows }) => rows.map(({ row }) => row.steps));
// @ts-expect-error an index that is no field
table.query({ index: "owner" });
// @ts-expect-error a field that can be no index: it holds neither texts nor numbers
table.query({ index: "history" });
// @ts-expect-error texts or numbers are looked for
table.query({ index: "status", equals: true });
// @ts-expect-error the same as it changes
table.live({ index: "owner" });
// @ts-expect-error the row is the projection's
found?.row.owner;
// @ts-expect-error a row has no version of its own
table.upTo({ version: 3 });
// @ts-expect-error the rows are the projection's
table.live().subscribe((value: { readonly rows: readonly string[] }) => value);

const wrong: Projection<Permit, Step> = {
  name: "permits",
  version: 1,
  // @ts-expect-error no such field
  indexes: ["owner"],
  // @ts-expect-error a key is a text
  key: () => 7,
  // @ts-expect-error evolve answers a row
  evolve: () => ({ status: "Asked" }),
};
const unindexable: Projection<Permit, Step> = {
  name: "permits",
  version: 1,
  // @ts-expect-error a list can be no index
  indexes: ["history"],
  // @ts-expect-error no such type of event
  evolve: (_, { type }) => (type === "Lost" ? undefined : { status: type, steps: 1, history: [] }),
};
void [wrong, unindexable];

// A projection whose type says which indexes it has is asked by no others.
const indexed = await store.project({
  name: "permits",
  version: 1,
  indexes: ["status"],
  evolve: (_: Permit | undefined, { type }: Step): Permit => ({ status: type, steps: 1, history: [] }),
});
indexed.query({ index: "status" });
// @ts-expect-error a field without an index
indexed.query({ index: "steps" });
const kept = {
  name: "permits",
  version: 1,
  indexes: ["status", "until"],
  evolve: (_, { type }) => ({ status: type, steps: 1, history: [] }),
} satisfies Projection<Permit, Step>;
const keptTable = await store.project(kept);
keptTable.query({ index: "until" });
// @ts-expect-error a field without an index
keptTable.query({ index: "steps" });

// The same in React.
export function useScreen(): void {
  isTrue<Equal<ReturnType<typeof useStreamState<Stock>>, LiveState<Stock>>>();
  useStreamState(store, "Stock-1", stock).state.left satisfies number;
  // @ts-expect-error the state is the decider's
  useStreamState(store, "Stock-1", stock).state.right;
  useRows(table, { index: "until", limit: 3 }).rows.map(({ row }) => row.steps satisfies number);
  // @ts-expect-error an index that is no field
  useRows(table, { index: "owner" });
  useRows(indexed, { index: "status" });
  // @ts-expect-error a field without an index
  useRows(indexed, { index: "steps" });
  // @ts-expect-error the rows are the projection's
  useRows(indexed).rows.map(({ row }) => row.owner);
}

// Opening.
openStore({ name: "shelf", deciders: [stock] });
// @ts-expect-error a projection is no decider
openStore({ name: "shelf", deciders: [permits] });
// @ts-expect-error what an app writes goes through defineEventTypes first
openStore({ name: "shelf", eventTypes: { Asked: { version: 1 } } });

// Subscriptions.
store.subscribe(async ({ position, data }) => void [position, data], { name: "mailer", category: "Permit", type: ["Granted"] });
// @ts-expect-error of an event's data nothing is known but that it is JSON
store.subscribe(({ data }) => data.until);
// @ts-expect-error a handler is given an event
store.subscribe((event: { readonly until: string }) => void event.until);
store.subscribe(() => Promise.reject(new HandlerError("There is no paper.")), {
  stream: ["Permit-1"],
  from: { time: "2026-01-31T00:00:00Z" },
});
// @ts-expect-error a filter has names
store.subscribe(() => undefined, { category: 7 });
// @ts-expect-error a list of names
store.subscribe(() => undefined, { type: ["Granted", null] });
// @ts-expect-error no such filter
store.subscribe(() => undefined, { categories: ["Permit"] });
// @ts-expect-error what becomes of an event that is refused
store.subscribe(() => undefined, { onFailure: "skip" });
// @ts-expect-error where it begins
store.subscribe(() => undefined, { from: "end" });
// @ts-expect-error one event at a time, on a device
store.subscribe(() => undefined, { batchSize: 10 });
const { status } = await store.subscription("mailer");
// @ts-expect-error there may be none of this name
status.position;

// What led to what.
const [cause] = (await store.readStream("Permit-1")).events;
if (cause !== undefined) store.appendToStream("Permit-2", [{ type: "Granted", data: {} }], { causedBy: cause });
// @ts-expect-error a cause is an event
store.appendToStream("Permit-2", [{ type: "Granted", data: {} }], { causedBy: cause?.id });
