import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidRequestError } from "../../shared/errors.ts";
import { copyJson, type Json, sameJson, utf8Length } from "../../shared/json.ts";
import { SEED } from "../support/seed.ts";

const encoder = new TextEncoder();
const json = fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.parse(JSON.stringify(value).replaceAll("-0", "0")) as Json);

test("a copy is deeply equal, is another object, and its size is that of its JSON in UTF-8", () => {
  fc.assert(
    fc.property(json, (value) => {
      const copy = copyJson(value, "data", 99);
      expect(copy.value).toEqual(value);
      expect(JSON.stringify(copy.value)).toBe(JSON.stringify(value));
      expect(copy.bytes).toBe(encoder.encode(JSON.stringify(value)).length);
      expect(sameJson(copy.value, value)).toBe(true);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test("minus zero becomes 0, and its size is that of 0", () => {
  const copy = copyJson({ x: -0, list: [-0.0, 1] }, "data", 9);
  expect(copy.value).toEqual({ x: 0, list: [0, 1] });
  expect(copy.bytes).toBe('{"x":0,"list":[0,1]}'.length);
});

test("what was checked is what is kept, whatever a getter answers the second time", () => {
  let asked = 0;
  const value = {
    get price() {
      return ++asked;
    },
  };
  expect(copyJson(value, "data", 9).value).toEqual({ price: 1 });
  expect(asked).toBe(1);
});

class Money {
  readonly amount = 1;
}

const circle: { parts: unknown[] } = { parts: [] };
circle.parts.push({ whole: circle });

test.each<[value: unknown, message: string]>([
  [undefined, "data.x is undefined, which JSON can't represent. Use null, or leave it out."],
  [Number.NaN, "data.x is NaN, which JSON can't represent. Use null."],
  [Number.NEGATIVE_INFINITY, "data.x is -Infinity, which JSON can't represent. Use null."],
  [10n, "data.x is a bigint, which JSON can't represent. Use a string."],
  [Symbol("a"), "data.x is a symbol, which JSON can't represent. Use a string."],
  [() => 1, "data.x is a function, which JSON can't represent. Use a string."],
  ["\ud800", "data.x contains a lone surrogate, which JSON can't represent. Use `toWellFormed()`."],
  [new Date(0), "data.x is a Date, which JSON can't represent. Use `toISOString()`."],
  [new Map(), "data.x is a Map, which JSON can't represent. Use `Object.fromEntries()`."],
  [new Set(), "data.x is a Set, which JSON can't represent. Use `Array.from()`."],
  [Promise.resolve(1), "data.x is a Promise, which JSON can't represent. Use `await`."],
  [new URL("https://example.com"), "data.x is an instance of URL, which JSON can't represent. Use its `toJSON()`."],
  [new Uint8Array(1), "data.x is an instance of Uint8Array, which JSON can't represent. Use a plain object with its fields."],
  [new Money(), "data.x is an instance of Money, which JSON can't represent. Use a plain object with its fields."],
  [new (class {})(), "data.x is an instance of a class, which JSON can't represent. Use a plain object with its fields."],
  [{ [Symbol("a")]: 1 }, "data.x has the key Symbol(a), which JSON can't represent. Use a string as the key."],
  [circle, "data.x.parts[0].whole is a cycle: it contains itself, which JSON can't represent. Use an id in its place."],
])("what JSON can't represent is named, with what to use instead: %s", (x, message) => {
  expect(() => copyJson({ x }, "data", 9)).toThrow(
    expect.objectContaining({ code: "invalid-request", message, field: message.split(" ")[0] }),
  );
});

test("an object may be in several places, as long as it does not contain itself", () => {
  const place = { street: "Weg 1" };
  expect(copyJson({ from: place, to: [place, place] }, "data", 9).value).toEqual({ from: place, to: [place, place] });
});

test("a symbol that is not enumerable is ignored", () => {
  const value = Object.defineProperty({ a: 1 }, Symbol("observed"), { value: () => 0 });
  expect(copyJson(value, "data", 9).value).toEqual({ a: 1 });
});

test("a getter that throws is refused with its place", () => {
  const value = {
    get price(): number {
      throw new Error("no price yet");
    },
  };
  expect(() => copyJson([value], "data", 9)).toThrow(
    new InvalidRequestError("data[0].price can't be read: no price yet", { field: "data[0].price" }),
  );
});

test("sameJson ignores the order of keys and nothing else", () => {
  expect(sameJson({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true);
  for (const other of [
    { a: 1 },
    { a: 1, b: [1, { c: 3 }] },
    { a: 1, b: [1] },
    { a: 1, b: { 0: 1, 1: { c: 2 } } },
    { a: 1, c: [1, { c: 2 }] },
    null,
    [1],
    "x",
  ]) {
    expect(sameJson({ a: 1, b: [1, { c: 2 }] }, other as Json)).toBe(false);
  }
});

test("UTF-8 is counted as the encoder does", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(utf8Length(text)).toBe(encoder.encode(text).length);
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
