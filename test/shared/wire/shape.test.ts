import fc from "fast-check";
import { expect, expectTypeOf, test } from "vitest";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { EventMetadata } from "../../../shared/event/event.ts";
import type { ExpectedVersion } from "../../../shared/expected-version.ts";
import type { Json } from "../../../shared/json.ts";
import type { Position, Version } from "../../../shared/order.ts";
import {
  type FieldShape,
  type Fields,
  isList,
  isOneOf,
  type Kind,
  Mismatch,
  match,
  type Shape,
  type Shaped,
} from "../../../shared/wire/shape.ts";
import * as wire from "../../../shared/wire/wire.ts";
import { SEED } from "../../support/seed.ts";

const NUMBERS = [0, 1, 2 ** 53 - 1];
const WHOLE = { good: NUMBERS, bad: [-1, 1.5, 2 ** 53, Number.NaN, "1", true, null, [], {}] };

/** Values as JSON has them; undefined is a missing one. */
const SAMPLES: Readonly<Record<Kind, { readonly good: readonly unknown[]; readonly bad: readonly unknown[] }>> = {
  string: { good: ["", "text", "null"], bad: [0, true, null, [], ["text"], {}] },
  boolean: { good: [true, false], bad: [0, "true", null, [], {}] },
  number: { good: [...NUMBERS, -1, 1.5], bad: ["1", true, null, [], {}] },
  "whole number": WHOLE,
  version: WHOLE,
  position: WHOLE,
  code: {
    good: ["version-conflict", "unavailable"],
    bad: ["of-the-future", "toString", "__proto__", "", 0, true, null, [], {}],
  },
  expectedVersion: { good: [...NUMBERS, "any", "no-stream", "stream-exists"], bad: ["maybe", "", -1, 1.5, true, null, ["any"], {}] },
  json: { good: [null, 0, "text", false, [], {}], bad: [] },
  object: { good: [{}, { a: 1 }], bad: [null, 0, "text", true, [], [{}]] },
  unknown: { good: [null, 0, "text", false, [], {}], bad: [] },
};

function told(shape: Shape, value: unknown) {
  const result = match(shape, value);
  return result instanceof Mismatch ? result.path.join(".") : expect.fail(`${JSON.stringify(value)} matches`);
}

test.each(Object.entries(SAMPLES))("%s: what it accepts and refuses", (name, { good, bad }) => {
  const kind = name as Kind;
  for (const value of good) {
    expect(match(kind, value)).toBe(value);
    expect(match(`${kind}|null`, value)).toBe(value);
    expect(match({ a: `${kind}?` }, { a: value })).toEqual({ a: value });
  }
  for (const value of [...bad, undefined]) {
    expect(match(kind, value)).toEqual(new Mismatch(kind, value));
    expect(match({ a: kind }, { a: value })).toEqual(new Mismatch(kind, value, "a"));
    if (value !== null) expect(match({ a: `${kind}|null` }, { a: value })).toEqual(new Mismatch(kind, value, "a"));
    if (value !== undefined) expect(match({ a: `${kind}?` }, { a: value })).toEqual(new Mismatch(kind, value, "a"));
  }
  expect(match(`${kind}|null`, null)).toBe(null);
  expect(Object.keys(match({ a: `${kind}?` }, {}))).toEqual([]);
});

test("a text is that text and no other", () => {
  expect(match('"committed"', "committed")).toBe("committed");
  for (const value of ['"committed"', "other", "", ["committed"], null, undefined, 1]) {
    expect(match('"committed"', value)).toEqual(new Mismatch('"committed"', value));
  }
});

test("what is missing gets its default, and nothing else does", () => {
  expect(match({ a: "string=any" }, {})).toEqual({ a: "any" });
  expect(match({ a: "string=any" }, { a: "" })).toEqual({ a: "" });
  expect(match({ a: "unknown=any" }, { a: null })).toEqual({ a: null });
  expect(told({ a: "string=any" }, { a: null })).toBe("a");
});

test("an array has as many items as it has, each of the shape", () => {
  expect(match(["whole number"], [])).toEqual([]);
  expect(match(["whole number"], [1, 2])).toEqual([1, 2]);
  expect(told(["whole number"], [1, -2, -3])).toBe("1");
  for (const value of [{}, { length: 0 }, "text", null, undefined]) {
    expect(match(["whole number"], value)).toEqual(new Mismatch("array", value));
  }
});

test("an object has the fields that its shape names, and what else came with it is left behind", () => {
  const shape = { a: "string", b: { c: ["whole number"] } } as const;
  const value = { b: { c: [1], later: 1 }, later: {}, a: "x" };
  expect(match(shape, value)).toEqual({ a: "x", b: { c: [1] } });
  expect(value).toEqual({ b: { c: [1], later: 1 }, later: {}, a: "x" });
  expect(told(shape, { a: "x", b: { c: [1, "2"] } })).toBe("b.c.1");
  expect(told(shape, { a: "x", b: {} })).toBe("b.c");
  expect(told(shape, { a: 1, b: 1 })).toBe("a");
  for (const none of ["text", 1, null, undefined]) expect(match(shape, none)).toEqual(new Mismatch("object", none));
});

test("one of several objects is told by its tag", () => {
  const shape = ["is", { circle: { radius: "number" }, point: {} }] as const;
  expect(match(shape, { is: "circle", radius: 1, later: 1 })).toEqual({ is: "circle", radius: 1 });
  expect(match(shape, { is: "point", radius: 1 })).toEqual({ is: "point" });
  expect(told([shape], [{ is: "point" }, { is: "circle" }])).toBe("1.radius");
  for (const is of ["square", "__proto__", "toString", "", ["point"], null, undefined]) {
    expect(match(shape, { is })).toEqual(new Mismatch("circle or point", is, "is"));
  }
  for (const none of ["point", null]) expect(match(shape, none)).toEqual(new Mismatch("object", none));
});

test("a key __proto__ gives no field and changes no prototype", () => {
  const shape = { a: "string", b: "string?", of: [{ c: "string?" }], data: "json" } as const;
  const text = '{"a":"x","__proto__":{"b":"y"},"of":[{"__proto__":{"c":"z"}}],"data":{"__proto__":{"d":1}}}';
  const matched = match(shape, JSON.parse(text)) as Shaped<typeof shape>;
  expect(JSON.stringify(matched)).toBe('{"a":"x","of":[{}],"data":{"__proto__":{"d":1}}}');
  for (const object of [matched, matched.of[0], matched.data]) expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  expect([matched.b, matched.of[0]?.c, Object.hasOwn(Object.prototype, "b")]).toEqual([undefined, undefined, false]);
  expect(told({ a: "string" }, JSON.parse('{"__proto__":{"a":"x"}}'))).toBe("a");
  expect(told(["is", { point: {} }], JSON.parse('{"__proto__":{"is":"point"}}'))).toBe("is");
});

test("the type of what matches is the shape's", () => {
  const fields = {
    text: "string",
    version: "version",
    position: "position|null",
    code: "code?",
    expected: "expectedVersion",
    of: [{ data: "json", metadata: "object" }],
    default: "unknown=any",
    kind: '"one"',
  } as const;
  expectTypeOf<Shaped<typeof fields>>().toEqualTypeOf<{
    text: string;
    version: Version;
    position: Position | null;
    code?: ErrorCode | undefined;
    expected: ExpectedVersion;
    of: { data: Json; metadata: EventMetadata }[];
    default: unknown;
    kind: "one";
  }>();
  const several = ["is", { circle: { radius: "number" }, point: { at: "whole number?" } }] as const;
  expectTypeOf<Shaped<typeof several>>().toEqualTypeOf<{ is: "circle"; radius: number } | { is: "point"; at?: number | undefined }>();
  // @ts-expect-error there is no such kind
  expect(() => match({ a: "text" }, {})).not.toThrow();
});

/** A message, and what in it can be replaced by something else. */
interface Sample {
  readonly value: unknown;
  readonly spots: readonly Spot[];
}
interface Spot {
  readonly path: readonly (string | number)[];
  /** What may not stand there. */
  readonly bad: readonly unknown[];
}

const NO_OBJECT = [undefined, null, true, 7, "text"];
const kinds = fc.constantFrom(...(Object.keys(SAMPLES) as Kind[]));
const { shape: anyShape } = fc.letrec<{ shape: Shape; fields: Fields }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 3 },
    kinds,
    kinds.map((kind) => `${kind}|null` as const),
    fc.constant<Shape>('"committed"'),
    tie("fields"),
    tie("shape").map((item) => [item] as const),
    fc.dictionary(fc.constantFrom("a", "b", "c"), tie("fields"), { minKeys: 1, maxKeys: 2 }).map((members) => ["tag", members] as const),
  ),
  fields: fc.dictionary(
    fc.constantFrom("id", "version", "events", "data", "0", "status"),
    fc.oneof(
      tie("shape"),
      kinds.map((kind) => `${kind}?` as const),
      fc.constant<FieldShape>("string=any"),
    ),
    { maxKeys: 4 },
  ),
}));
const wireShape = fc.constantFrom<Shape>(
  wire.appendRequest,
  wire.appendAnswer,
  wire.pushRequest,
  wire.pushAnswer,
  wire.streamPage,
  wire.streamList,
  wire.feedPage,
  wire.storeHealth,
  wire.problemDocument,
);
const aShape = fc.oneof(anyShape, wireShape);

function sampleOf(shape: FieldShape): fc.Arbitrary<Sample> {
  if (typeof shape === "string") return sampleOfTerm(shape);
  if (isList(shape)) {
    return fc.array(sampleOf(shape[0]), { maxLength: 3 }).map((items) => ({
      value: items.map(({ value }) => value),
      spots: [{ path: [], bad: [...NO_OBJECT, {}] }, ...items.flatMap((item, i) => within(i, item))],
    }));
  }
  if (!isOneOf(shape)) return sampleOfFields(shape);
  const [tag, members] = shape;
  return fc.constantFrom(...Object.entries(members)).chain(([name, fields]) =>
    sampleOfFields(fields).map(({ value, spots }) => ({
      value: { ...(value as object), [tag]: name },
      spots: [...spots, { path: [tag], bad: [...NO_OBJECT, {}] }],
    })),
  );
}

function sampleOfFields(fields: Fields): fc.Arbitrary<Sample> {
  const samples = Object.entries(fields).map(([name, shape]) => sampleOf(shape).map((sample) => [name, sample] as const));
  return fc.tuple(...samples).map((entries) => ({
    value: Object.fromEntries(entries.map(([name, { value }]) => [name, value])),
    spots: [{ path: [], bad: NO_OBJECT }, ...entries.flatMap(([name, sample]) => within(name, sample))],
  }));
}

function sampleOfTerm(term: string): fc.Arbitrary<Sample> {
  const [, kind = "", or] = /^(.*?)(\|null|\?|=any)?$/.exec(term) ?? [];
  const { good, bad } = SAMPLES[kind as Kind] ?? { good: [JSON.parse(kind)], bad: [...NO_OBJECT, {}] };
  const also = or === undefined ? [] : [or === "|null" ? null : or === "?" ? undefined : "any"];
  const wrong = (or === "=any" || or === "?" ? bad : [...bad, undefined]).filter((value) => or !== "|null" || value !== null);
  return fc.constantFrom(...good, ...also).map((value) => ({ value, spots: [{ path: [], bad: wrong }] }));
}

function within(name: string | number, { spots }: Sample): Spot[] {
  return spots.map(({ path, bad }) => ({ path: [name, ...path], bad }));
}

function replaced(value: unknown, [name, ...rest]: Spot["path"], other: unknown): unknown {
  if (name === undefined) return other;
  if (Array.isArray(value)) return value.map((item, i) => (i === name ? replaced(item, rest, other) : item));
  const fields = value as Readonly<Record<string, unknown>>;
  return { ...fields, [name]: replaced(fields[name], rest, other) };
}

test("every message of a shape matches it, and stays what it is", () => {
  const messages = aShape.chain((shape) => fc.tuple(fc.constant(shape), sampleOf(shape)));
  const property = fc.property(messages, ([shape, { value }]) => {
    expect(match(shape, value)).toEqual(value);
  });
  fc.assert(property, { seed: SEED, numRuns: 1_000 });
});

test("a single value of another type is refused with its path", () => {
  const mutated = aShape
    .chain((shape) => fc.tuple(fc.constant(shape), sampleOf(shape)))
    .chain(([shape, { value, spots }]) =>
      fc
        .constantFrom(...spots.filter(({ bad }) => bad.length > 0))
        .chain(({ path, bad }) => fc.constantFrom(...bad).map((other) => ({ shape, path, other, value: replaced(value, path, other) }))),
    );
  const property = fc.property(mutated, ({ shape, path, other, value }) => {
    expect(match(shape, value)).toMatchObject({ path, received: other });
  });
  fc.assert(property, { seed: SEED, numRuns: 1_000 });
});
