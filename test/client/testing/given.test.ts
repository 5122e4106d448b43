/** Given, when, then: what passes, and what a failing test prints. */
import { expect, test } from "vitest";
import type { Decider, Projection } from "../../../client/index.ts";
import { given, givenProjection, givenRecorded } from "../../../client/testing/index.ts";
import { defineEventTypes, type EventTypes } from "../../../shared/event/event-types.ts";

type Opened = { readonly type: "Opened"; readonly data: { readonly limit: number } };
type Taken = { readonly type: "Taken"; readonly data: { readonly amount: number; readonly note?: string } };
type Command = { readonly open: number } | { readonly take: number; readonly note?: string };

class OverLimit extends Error {
  override readonly name = "OverLimit";
}

const account: Decider<number | null, Command, Opened | Taken> = {
  name: "account",
  version: 1,
  initialState: null,
  evolve: (left, event) => (event.type === "Opened" ? event.data.limit : (left ?? 0) - event.data.amount),
  decide(command, left) {
    if ("open" in command) return left === null ? { type: "Opened", data: { limit: command.open } } : undefined;
    if (left === null) throw new Error("Open the account first.");
    if (command.take > left) throw new OverLimit(`Only ${left} is left.`);
    return command.take === 0 ? [] : { type: "Taken", data: { amount: command.take, ...(command.note && { note: command.note }) } };
  },
};
const opened: Opened = { type: "Opened", data: { limit: 10 } };
const taken: Taken = { type: "Taken", data: { amount: 3 } };

function messageOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  throw new Error("Nothing was thrown.");
}

test("events are decided on those before", () => {
  given(account).when({ open: 10 }).then(opened);
  given(account, opened, taken)
    .when({ take: 7 })
    .then({ type: "Taken", data: { amount: 7 } });
});

test("a command may change nothing", () => {
  given(account, opened).when({ take: 0 }).thenNothing();
  given(account, opened).when({ open: 3 }).thenNothing();
});

test("a refusal is told by its sentence, its class, or what holds of it", () => {
  given(account).when({ take: 1 }).thenRefused(/first/);
  given(account, opened).when({ take: 11 }).thenRefused(OverLimit);
  given(account, opened).when({ take: 11 }).thenRefused(Error);
  given(account, opened)
    .when({ take: 11 })
    .thenRefused((error) => error instanceof OverLimit && error.message === "Only 10 is left.");
  const global = /left/g;
  for (let i = 0; i < 2; i++) given(account, opened).when({ take: 11 }).thenRefused(global);
});

test("what a store fills in by itself makes no difference", () => {
  const tagged: Decider<null, string> = {
    name: "tags",
    version: 1,
    initialState: null,
    evolve: () => null,
    decide: (tag) => ({ type: "Tagged", data: tag, metadata: {}, schemaVersion: 1 }),
  };
  given(tagged).when("a").then({ type: "Tagged", data: "a" });
});

test("other events are shown line by line", () => {
  expect(
    messageOf(() =>
      given(account, opened, taken)
        .when({ take: 7, note: "rent" })
        .then({ data: { note: "rent", amount: 6 }, type: "Taken" }),
    ),
  ).toBe(`account: expected one event, but got a different one.

given
  {"type":"Opened","data":{"limit":10}}
  {"type":"Taken","data":{"amount":3}}
when
  {"take":7,"note":"rent"}
then, expected (-) and decided (+)
    [
      {
        "type": "Taken",
        "data": {
          "note": "rent",
  -       "amount": 6
  +       "amount": 7
        }
      }
    ]`);
});

test("an event too many is shown", () => {
  expect(messageOf(() => given(account).when({ open: 10 }).then(opened, taken))).toBe(`account: expected 2 events, but got one event.

given nothing
when
  {"open":10}
then, expected (-) and decided (+)
    [
      {
        "type": "Opened",
        "data": {
          "limit": 10
        }
  -   },
  -   {
  -     "type": "Taken",
  -     "data": {
  -       "amount": 3
  -     }
      }
    ]`);
});

test("of a long event, what is near the difference is shown", () => {
  const items = (changed: number) => Array.from({ length: 20 }, (_, i) => (i === 10 ? changed : i));
  const list: Decider<null, "list"> = {
    name: "list",
    version: 1,
    initialState: null,
    evolve: () => null,
    decide: () => ({ type: "Listed", data: items(99) }),
  };
  const message = messageOf(() =>
    given(list)
      .when("list")
      .then({ type: "Listed", data: items(10) }),
  );
  expect(message.slice(message.indexOf("then"))).toBe(`then, expected (-) and decided (+)
    …
          5,
          6,
          7,
          8,
          9,
  -       10,
  +       99,
          11,
          12,
          13,
          14,
          15,
    …`);
});

test("an event that was not expected is shown", () => {
  expect(messageOf(() => given(account).when({ open: 10 }).thenNothing())).toBe(`account: expected nothing, but got one event.

given nothing
when
  {"open":10}
then, expected (-) and decided (+)
  - []
  + [
  +   {
  +     "type": "Opened",
  +     "data": {
  +       "limit": 10
  +     }
  +   }
  + ]`);
});

test("a refusal that was not expected is told, and is the cause", () => {
  const refused = () =>
    given(account, opened)
      .when({ take: 11 })
      .then({ type: "Taken", data: { amount: 11 } });
  expect(messageOf(refused)).toBe(`account: expected one event, but the command was refused.

given
  {"type":"Opened","data":{"limit":10}}
when
  {"take":11}
then, refused
  OverLimit: Only 10 is left.`);
  expect(refused).toThrow(expect.objectContaining({ cause: new OverLimit("Only 10 is left.") }));
});

test("a refusal that did not come is missed", () => {
  expect(
    messageOf(() => given(account).when({ open: 10 }).thenRefused(/full/)),
  ).toBe(`account: expected a refusal, but the command was accepted.

given nothing
when
  {"open":10}
then
  {"type":"Opened","data":{"limit":10}}`);
});

test.each([
  [/full/, "a refusal that matches /full/"],
  [RangeError, "a refusal of class RangeError"],
  [(error: unknown) => error === 1, "a refusal for which (error) => error === 1 is true"],
])("another refusal is told: %s", (how, told) => {
  expect(
    messageOf(() => given(account).when({ take: 1 }).thenRefused(how)),
  ).toBe(`account: expected ${told}, but the command was refused in another way.

given nothing
when
  {"take":1}
then, refused
  Error: Open the account first.`);
});

test("what can't be recorded is not decided", () => {
  const dated: Decider<null, number> = {
    name: "dates",
    version: 1,
    initialState: null,
    evolve: () => null,
    decide: (at) => ({ type: "Dated", data: { at: new Date(at) } }),
  };
  expect(messageOf(() => given(dated).when(0).thenNothing())).toBe(
    "dates: the decided events can't be recorded: events[0].data.at is a Date, which JSON can't represent. Use `toISOString()`.",
  );
  expect(
    messageOf(() =>
      given(account)
        .when({ open: 1 })
        .then({ type: "Opened", data: { limit: Number.NaN } }),
    ),
  ).toBe("account: the expected events can't be recorded: events[0].data.limit is NaN, which JSON can't represent. Use null.");
});

test("a command that a store would refuse is refused, and is decided as a store keeps it", () => {
  const dated: Decider<null, { readonly at: unknown }, Opened> = {
    name: "dated",
    version: 1,
    initialState: null,
    evolve: () => null,
    decide: ({ at }) => ({ type: "Opened", data: { limit: Object.is(at, undefined) ? 0 : 1 } }),
  };
  expect(messageOf(() => given(dated).when({ at: new Date() }))).toContain("dated: the command can't be recorded");
  given(dated)
    .when({ at: null })
    .then({ type: "Opened", data: { limit: 1 } });
});

test("a decider that is not pure is found out", () => {
  let calls = 0;
  const counting: Decider<null, "count"> = {
    name: "counting",
    version: 1,
    initialState: null,
    evolve: () => null,
    decide: () => ({ type: "Counted", data: calls++ }),
  };
  expect(
    messageOf(() => given(counting).when("count")),
  ).toBe(`counting: deciding the command twice gave different results. decide and evolve must be pure.

given nothing
when
  "count"
then
  {"type":"Counted","data":0}
then again
  {"type":"Counted","data":1}`);
});

test("who waits for it as for a promise is told that it is none", async () => {
  const waiting: unknown = given(account).when({ open: 10 });
  await expect(Promise.resolve(waiting)).rejects.toThrow(
    "This is not a promise: do not await it. Call then(…events), thenNothing() or thenRefused(…).",
  );
});

const balances: Projection<{ readonly left: number }, Opened | Taken, "left"> = {
  name: "balances",
  version: 1,
  category: "Account",
  indexes: ["left"],
  evolve: (row, event) => (event.type === "Opened" ? { left: event.data.limit } : row && { left: row.left - event.data.amount }),
};
const at = <E>(streamId: string, event: E) => ({ streamId, ...event });

test("rows of a projection: those of the filter's events, none where evolve answers none, and no others", () => {
  givenProjection(balances).thenRows({});
  givenProjection(balances, at("Account-1", opened), at("Account-2", opened), at("Account-1", taken)).thenRows({
    "Account-1": { left: 7 },
    "Account-2": { left: 10 },
  });
  givenProjection(balances, at("Other-1", opened), at("Account-3", taken)).thenRows({});
  expect(messageOf(() => givenProjection(balances, at("Account-1", opened)).thenRows({ "Account-1": { left: 9 } }))).toBe(
    `balances: the rows are not the expected ones.

given
  {"streamId":"Account-1","type":"Opened","data":{"limit":10}}
then, expected (-) and folded (+)
    {
      "Account-1": {
  -     "left": 9
  +     "left": 10
      }
    }`,
  );
});

test("rows that JSON can't say are compared as what they are, and fields without a value make no difference", () => {
  const sets: Projection<{ readonly seen: ReadonlySet<number>; readonly note?: string | undefined }, Opened | Taken> = {
    name: "sets",
    version: 1,
    evolve: (row, { type }) => ({ seen: new Set([...(row?.seen ?? []), type.length]), note: undefined }),
  };
  const then = givenProjection(sets, at("Account-1", opened), at("Account-1", taken));
  then.thenRows({ "Account-1": { seen: new Set([6, 5]) } });
  expect(messageOf(() => then.thenRows({ "Account-1": { seen: new Set([6]) } }))).toContain('"Set"');
});

test("an evolve that counts by itself, and a row that can't be stored, are found out", () => {
  let count = 0;
  const counting = { ...balances, evolve: () => ({ left: ++count }) };
  expect(messageOf(() => givenProjection(counting, at("Account-1", opened)).thenRows({}))).toContain("must be pure");
  const growing = { ...balances, evolve: () => ({ left: 1, more: () => 1 }) };
  expect(messageOf(() => givenProjection(growing, at("Account-1", opened)).thenRows({}))).toContain(
    "balances: a row can't be stored in IndexedDB",
  );
});

const types = defineEventTypes({
  Opened: { version: 3, upcast: { 1: (data) => ({ limit: data }), 2: (data) => ({ ...(data as object), currency: "EUR" }) } },
});

test("an upcaster: what is recorded reads as data of the current version", () => {
  givenRecorded(types, { type: "Opened", schemaVersion: 1, data: 10 }).thenRead({ limit: 10, currency: "EUR" });
  givenRecorded(types, { type: "Opened", schemaVersion: 3, data: { limit: 1 } }).thenRead({ limit: 1 });
  expect(messageOf(() => givenRecorded(types, { type: "Opened", schemaVersion: 2, data: { limit: 10 } }).thenRead({ limit: 10 }))).toBe(
    `Opened: the event reads as other data.

given
  {"type":"Opened","schemaVersion":2,"data":{"limit":10}}
then, expected (-) and read (+)
    {
  -   "limit": 10
  +   "limit": 10,
  +   "currency": "EUR"
    }`,
  );
});

test("what can't be read as an event of today says why", () => {
  const failing = defineEventTypes({
    Opened: {
      version: 2,
      upcast: {
        1: () => {
          throw new Error("no such limit");
        },
      },
    },
  });
  const read = (known: EventTypes, type: string, schemaVersion: number) =>
    messageOf(() => givenRecorded(known, { type, schemaVersion, data: 1 }).thenRead(1));
  expect(read(types, "Closed", 1)).toContain("Closed: this type is not registered.");
  expect(read(types, "Opened", 4)).toContain("the type is at version 3, which can't read an event of version 4.");
  expect(read(failing, "Opened", 1)).toContain("no such limit");
  let count = 0;
  const counting = defineEventTypes({ Opened: { version: 2, upcast: { 1: () => ++count } } });
  expect(read(counting, "Opened", 1)).toContain("must be pure");
});
