import fc from "fast-check";
import * as v from "valibot";
import { expect, expectTypeOf, test } from "vitest";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { EventMetadata } from "../../../shared/event/event.ts";
import type { ExpectedVersion } from "../../../shared/expected-version.ts";
import type { Json } from "../../../shared/json.ts";
import type { Position, Version } from "../../../shared/order.ts";
import * as ours from "../../../shared/wire/schema.ts";
import { match, type Schema } from "../../../shared/wire/schema.ts";
import * as wire from "../../../shared/wire/wire.ts";
import { SEED } from "../../support/seed.ts";

interface Samples {
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

const NUMBERS = [0, 1, 2 ** 53 - 1];
const WHOLE: Samples = { good: NUMBERS, bad: [-1, 1.5, 2 ** 53, Number.NaN, "1", true, null, [], {}] };
const ANYTHING: Samples = { good: [null, 0, "text", false, [], {}], bad: [] };

/** Values as JSON has them, for each schema that is a function of ours. */
const OURS: readonly (readonly [name: string, schema: Schema<unknown>, samples: Samples])[] = [
  ["wholeNumber", ours.wholeNumber, WHOLE],
  ["version", ours.version, WHOLE],
  ["position", ours.position, WHOLE],
  [
    "code",
    ours.code,
    { good: ["version-conflict", "unavailable"], bad: ["of-the-future", "toString", "__proto__", "", 0, true, null, [], {}] },
  ],
  [
    "expectedVersion",
    ours.expectedVersion,
    { good: [...NUMBERS, "any", "no-stream", "stream-exists"], bad: ["maybe", "", -1, 1.5, true, null, ["any"], {}] },
  ],
  ["json", ours.json, ANYTHING],
  ["metadata", ours.metadata, { good: [{}, { a: 1 }], bad: [null, 0, "text", true, [], [{}]] }],
];

/** The path to the first value that does not match, with dots. */
function mismatch(schema: Schema<unknown>, value: unknown): string {
  const { issues } = match(schema, value);
  expect(issues).toHaveLength(1);
  return issues?.[0].path?.map(({ key }) => key).join(".") ?? "";
}

function matched<T>(schema: Schema<T>, value: unknown): T {
  const result = match(schema, value);
  return result.success ? result.output : expect.fail(`${JSON.stringify(value)} does not match`);
}

test.each(OURS)("%s: what it accepts and refuses", (_, schema, { good, bad }) => {
  for (const value of good) {
    expect(matched(schema, value)).toBe(value);
    expect(matched(v.object({ a: schema }), { a: value })).toEqual({ a: value });
  }
  for (const value of [...bad, undefined]) {
    expect(mismatch(schema, value)).toBe("");
    expect(mismatch(v.object({ a: schema }), { a: value })).toBe("a");
  }
  expect(mismatch(v.object({ a: schema }), {})).toBe("a");
});

test("an object has the fields that its schema names, and no other field of the message", () => {
  const schema = v.object({ a: v.string(), b: v.object({ c: v.array(ours.wholeNumber) }), d: v.optional(v.string()) });
  const value = { b: { c: [1], later: 1 }, later: {}, a: "x" };
  expect(JSON.stringify(matched(schema, value))).toBe('{"a":"x","b":{"c":[1]}}');
  expect(Object.keys(matched(schema, value))).toEqual(["a", "b"]);
  expect(value).toEqual({ b: { c: [1], later: 1 }, later: {}, a: "x" });
  expect(mismatch(schema, { a: "x", b: { c: [1, "2"] } })).toBe("b.c.1");
  expect(mismatch(schema, { a: "x", b: {} })).toBe("b.c");
  expect(mismatch(schema, { a: 1, b: 1 })).toBe("a");
});

test("what is used is what was checked, even if a getter changes its mind", () => {
  let reads = 0;
  const value = {
    get a() {
      return reads++ === 0 ? "x" : 1;
    },
  };
  const { a } = matched(v.object({ a: v.string() }), value);
  expect([a, a, reads]).toEqual(["x", "x", 1]);
});

test("a result of a push is known by its status", () => {
  const { pushResult } = wire;
  expect(matched(pushResult, { status: "skipped", streamId: "A-1", later: 1 })).toEqual({ status: "skipped", streamId: "A-1" });
  expect(
    mismatch(wire.pushAnswer, {
      log: "l",
      results: [
        { status: "skipped", streamId: "A-1" },
        { status: "committed", streamId: 1 },
      ],
    }),
  ).toBe("results.1.streamId");
  for (const status of ["other", "__proto__", "toString", "", ["skipped"], null, undefined])
    expect(mismatch(pushResult, { status, streamId: "A-1" })).toBe("status");
  expect(mismatch(pushResult, { streamId: "A-1" })).toBe("status");
});

test("a key __proto__ gives no field and changes no prototype", () => {
  const schema = v.object({
    a: v.string(),
    b: v.optional(v.string()),
    of: v.array(v.object({ c: v.optional(v.string()) })),
    data: ours.json,
  });
  const text = '{"a":"x","__proto__":{"b":"y"},"of":[{"__proto__":{"c":"z"}}],"data":{"__proto__":{"d":1}}}';
  const message = matched(schema, JSON.parse(text));
  expect(JSON.stringify(message)).toBe('{"a":"x","of":[{}],"data":{"__proto__":{"d":1}}}');
  for (const object of [message, message.of[0], message.data]) expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  expect([message.b, message.of[0]?.c, Object.hasOwn(Object.prototype, "b")]).toEqual([undefined, undefined, false]);
  expect(mismatch(v.object({ a: v.string() }), JSON.parse('{"__proto__":{"a":"x"}}'))).toBe("a");
  expect(mismatch(wire.pushResult, JSON.parse('{"__proto__":{"status":"skipped"}}'))).toBe("status");
});

test("the types of messages are those of their schemas", () => {
  expectTypeOf<wire.FeedPage>().toEqualTypeOf<{
    log: string;
    events: {
      id: string;
      streamId: string;
      version: Version;
      position: Position;
      type: string;
      schemaVersion: number;
      data: Json;
      metadata: EventMetadata;
      occurredAt: string;
      recordedAt: string;
      actor: string | null;
    }[];
    position: number;
    mark?: string | undefined;
    head: number;
    digest?: string | undefined;
    damaged?: { first: number; last: number }[] | undefined;
  }>();
  interface Taken {
    streamId: string;
    firstVersion: number;
    version: number;
    position: number | null;
    decided?: { id: string; type: string; schemaVersion: number; data: Json; metadata: EventMetadata; occurredAt: string }[] | undefined;
  }
  expectTypeOf<wire.PushResult>().branded.toEqualTypeOf<
    | ({ status: "committed" } & Taken)
    | ({ status: "duplicate" } & Taken)
    | {
        status: "conflict";
        streamId: string;
        code: "version-conflict";
        expectedVersion: ExpectedVersion;
        actualVersion: number;
        detail: string;
      }
    | {
        status: "rejected";
        streamId: string;
        code: ErrorCode;
        detail: string;
        field?: string | undefined;
        eventId?: string | undefined;
        decider?: string | undefined;
      }
    | { status: "refused"; streamId: string; name: string; message: string; data: Json }
    | { status: "skipped"; streamId: string }
  >();
  expectTypeOf<wire.AppendRequest>().toEqualTypeOf<{ expectedVersion: unknown; events: unknown[] }>();
});

/** A message, and what in it can be replaced by something else. */
interface Sample {
  readonly value: unknown;
  readonly spots: readonly Spot[];
}
interface Spot {
  readonly path: readonly (string | number)[];
  /** What may not be there; undefined: nothing may be missing there. */
  readonly bad: readonly unknown[];
}

/** The schemas that the wire is made of. A schema of another kind makes `sampleOf` throw. */
type Part =
  | v.ObjectSchema<Readonly<Record<string, Schema<unknown>>>, undefined>
  | v.ArraySchema<Schema<unknown>, undefined>
  | v.VariantSchema<string, v.ObjectSchema<Readonly<Record<string, Schema<unknown>>>, undefined>[], undefined>
  | v.OptionalSchema<Schema<unknown>, unknown>
  | v.NullableSchema<Schema<unknown>, undefined>
  | v.LiteralSchema<string, undefined>
  | v.PicklistSchema<readonly string[], undefined>
  | v.StringSchema<undefined>
  | v.BooleanSchema<undefined>
  | v.NumberSchema<undefined>
  | v.UnknownSchema
  | v.CustomSchema<unknown, undefined>;

const NO_OBJECT = [null, true, 7, "text"];
const MESSAGES = fc.constantFrom<Schema<unknown>>(
  wire.appendRequest,
  wire.appendAnswer,
  wire.pushRequest,
  wire.pushAnswer,
  wire.streamPage,
  wire.streamList,
  wire.feedPage,
  wire.socketMessage,
  wire.socketPull,
  wire.socketAuth,
  wire.storeHealth,
  wire.subscriptionList,
  wire.subscriptionDetail,
  wire.resetRequest,
  wire.replayRequest,
  wire.problemDocument,
);

function sampleOf(schema: Schema<unknown>): fc.Arbitrary<Sample> {
  const part = schema as unknown as Part; // by its `type`
  switch (part.type) {
    case "object":
      return sampleOfFields(part.entries);
    case "array":
      return fc.array(sampleOf(part.item), { maxLength: 3 }).map((items) => ({
        value: items.map(({ value }) => value),
        spots: [{ path: [], bad: [...NO_OBJECT, {}] }, ...items.flatMap((item, i) => within(i, item))],
      }));
    case "variant":
      return fc.constantFrom(...part.options).chain(({ entries }) => sampleOfFields(entries));
    case "nullable":
      return orElse(sampleOf(part.wrapped), null);
    case "optional":
      return orElse(sampleOf(part.wrapped), undefined);
    case "literal":
      return sampleOfValue({ good: [part.literal], bad: [...NO_OBJECT, {}] });
    case "picklist":
      return sampleOfValue({ good: part.options, bad: [...NO_OBJECT, "", {}] });
    case "string":
      return sampleOfValue({ good: ["", "text", "null"], bad: [0, true, null, [], ["text"], {}] });
    case "boolean":
      return sampleOfValue({ good: [true, false], bad: [0, "true", null, [], {}] });
    case "number":
      return sampleOfValue({ good: [...NUMBERS, -1, 1.5], bad: ["1", true, null, [], {}] });
    case "unknown":
      return sampleOfValue(ANYTHING);
    case "custom": {
      const [, , samples] = OURS.find(([, known]) => known === schema) ?? expect.fail("a schema without samples");
      return sampleOfValue(samples);
    }
    default:
      return expect.fail(`${(part satisfies never as Part).type} has no samples`);
  }
}

function sampleOfFields(entries: Readonly<Record<string, Schema<unknown>>>): fc.Arbitrary<Sample> {
  const fields = Object.entries(entries).map(([name, schema]) => sampleOf(schema).map((sample) => [name, sample] as const));
  return fc.tuple(...fields).map((all) => ({
    value: Object.fromEntries(all.flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value]]))),
    spots: [
      { path: [], bad: NO_OBJECT },
      ...all.flatMap(([name, sample]) => within(name, sample)),
      ...all.filter(([name]) => isRequired(entries[name])).map(([name]) => ({ path: [name], bad: [undefined] })),
    ],
  }));
}

function sampleOfValue({ good, bad }: Samples): fc.Arbitrary<Sample> {
  return fc.constantFrom(...good).map((value) => ({ value, spots: [{ path: [], bad }] }));
}

function orElse(samples: fc.Arbitrary<Sample>, other: null | undefined): fc.Arbitrary<Sample> {
  return fc
    .oneof(
      samples,
      samples.map((sample) => ({ ...sample, value: other, spots: sample.spots.filter(({ path }) => path.length === 0) })),
    )
    .map(({ value, spots }) => ({ value, spots: spots.map(({ path, bad }) => ({ path, bad: bad.filter((one) => one !== other) })) }));
}

function isRequired(schema: Schema<unknown> | undefined): boolean {
  return schema?.type !== "optional";
}

function within(name: string | number, { spots }: Sample): Spot[] {
  return spots.map(({ path, bad }) => ({ path: [name, ...path], bad }));
}

function replaced(value: unknown, [name, ...rest]: Spot["path"], other: unknown): unknown {
  if (name === undefined) return other;
  if (Array.isArray(value)) return value.map((item, i) => (i === name ? replaced(item, rest, other) : item));
  const { [name]: before, ...fields } = value as Readonly<Record<string, unknown>>;
  const after = replaced(before, rest, other);
  return after === undefined ? fields : { ...fields, [name]: after };
}

test("every message of a schema matches it, and stays what it is", () => {
  const messages = MESSAGES.chain((schema) => fc.tuple(fc.constant(schema), sampleOf(schema)));
  const property = fc.property(messages, ([schema, { value }]) => {
    expect(matched(schema, value)).toMatchObject(value as object);
  });
  fc.assert(property, { seed: SEED, numRuns: 1_000 });
});

test("a single value of another type is refused with its path", () => {
  const changed = MESSAGES.chain((schema) => fc.tuple(fc.constant(schema), sampleOf(schema))).chain(([schema, { value, spots }]) =>
    fc
      .constantFrom(...spots.filter(({ bad }) => bad.length > 0))
      .chain(({ path, bad }) => fc.constantFrom(...bad).map((other) => ({ schema, path, value: replaced(value, path, other) }))),
  );
  const property = fc.property(changed, ({ schema, path, value }) => {
    expect(mismatch(schema, value)).toBe(path.join("."));
  });
  fc.assert(property, { seed: SEED, numRuns: 1_000 });
});
