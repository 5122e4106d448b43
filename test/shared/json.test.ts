import fc from "fast-check";
import { expect, test } from "vitest";
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
