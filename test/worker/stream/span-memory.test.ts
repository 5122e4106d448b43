/** What a stream's object remembers of its places in the log. */
import { expect, test } from "vitest";
import { SpanMemory } from "../../../worker/stream/span-memory.ts";

const span = (firstVersion: number, lastVersion: number, firstPosition: number) => ({ firstVersion, lastVersion, firstPosition });

test("spans that come in any order, and twice, are one memory", () => {
  const memory = new SpanMemory();
  expect(memory.keep([span(5, 6, 50)])).toBeUndefined();
  expect(memory.keep([span(1, 2, 10), span(3, 4, 30), span(5, 6, 50)])).toBeUndefined();
  expect([1, 2, 3, 4, 5, 6, 7].map((version) => memory.positionOf(version))).toEqual([10, 11, 30, 31, 50, 51, null]);
  expect(memory.hasAll({ first: 2, last: 6 })).toBe(true);
  expect(memory.hasAll({ first: 2, last: 7 })).toBe(false);
  expect(memory.hasAll({ first: 9, last: 8 })).toBe(true);
});

test("a span that was known in part is known whole, and a gap is none", () => {
  const memory = new SpanMemory();
  memory.keep([span(1, 2, 10), span(6, 7, 60)]);
  memory.keep([span(1, 3, 10)]);
  expect([3, 4, 5, 6].map((version) => memory.positionOf(version))).toEqual([12, null, null, 60]);
  expect([memory.hasAll({ first: 1, last: 3 }), memory.hasAll({ first: 3, last: 6 })]).toEqual([true, false]);
});

test("a version that has moved is named, and what was behind it is forgotten", () => {
  const memory = new SpanMemory();
  memory.keep([span(1, 4, 10), span(5, 6, 50)]);
  expect(memory.keep([span(3, 3, 100)])).toBe(3);
  expect([1, 2, 3, 4, 5].map((version) => memory.positionOf(version))).toEqual([10, 11, 100, null, null]);
  memory.forgetFrom();
  expect(memory.positionOf(1)).toBeNull();
});
