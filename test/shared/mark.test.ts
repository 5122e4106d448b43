import fc from "fast-check";
import { expect, test } from "vitest";
import { markAfter, NO_EVENTS, nextMark, START_MARK, withEvent } from "../../shared/mark.ts";
import { SEED } from "../support/seed.ts";

const FIRST = "018f3c5e-0000-7000-8000-000000000001";
const SECOND = "018f3c5e-0000-7000-8000-000000000002";

const ids = fc.array(fc.uuid(), { minLength: 1, maxLength: 20 });
const marks = fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: 16, maxLength: 16 }).map((digits) => digits.join(""));

test("a mark stays what it is: devices and logs keep them", () => {
  expect([START_MARK, nextMark(START_MARK, FIRST), markAfter(START_MARK, [FIRST, SECOND])]).toEqual([
    "0000000000000000",
    "6c65dd6ee8d68c4f",
    "a4bdcb04c3df76bd",
  ]);
  expect(() => nextMark("", FIRST)).toThrow("16 hexadecimal digits");
});

test("the way to a mark does not matter: one by one, or several at once", () => {
  fc.assert(
    fc.property(ids, fc.nat(20), (all, cut) => {
      expect(markAfter(markAfter(START_MARK, all.slice(0, cut)), all.slice(cut))).toBe(all.reduce(nextMark, START_MARK));
    }),
    { seed: SEED },
  );
});

test("histories that differ at one place differ there and at every later one, however alike they go on", () => {
  fc.assert(
    fc.property(ids, fc.uuid(), fc.nat(19), (all, other, at) => {
      fc.pre(!all.includes(other));
      const changed = all.with(at % all.length, other);
      for (let length = 1; length <= all.length; length++) {
        const isSame = markAfter(START_MARK, all.slice(0, length)) === markAfter(START_MARK, changed.slice(0, length));
        expect(isSame).toBe(length <= at % all.length);
      }
    }),
    { seed: SEED },
  );
});

test("events that change places, or are left out, change the mark", () => {
  const all = Array.from({ length: 8 }, (_, i) => `018f3c5e-0000-7000-8000-00000000000${i}`);
  const swapped = all.flatMap((_, i) => all.slice(0, i).map((_, j) => all.with(i, all[j] ?? "").with(j, all[i] ?? "")));
  const shorter = all.map((_, i) => all.toSpliced(i, 1));
  const histories = [all, ...swapped, ...shorter];
  expect(new Set(histories.map((history) => markAfter(START_MARK, history))).size).toBe(histories.length);
});

test("two marks never fall together", () => {
  fc.assert(
    fc.property(marks, marks, fc.uuid(), (one, other, id) => {
      expect(nextMark(one, id) === nextMark(other, id)).toBe(one === other);
    }),
    { seed: SEED },
  );
});

test("a digest of a set is the same in whatever order its events come, and another one with another event", () => {
  const digestOf = (ids: readonly string[]) => ids.reduce(withEvent, NO_EVENTS);
  fc.assert(
    fc.property(fc.uniqueArray(fc.uuid(), { minLength: 1 }), ([first = "", ...rest]) => {
      const digest = digestOf([first, ...rest]);
      expect(digest).toMatch(/^[0-9a-f]{16}$/);
      expect(digestOf([...rest, first])).toBe(digest);
      expect(digestOf(rest)).not.toBe(digest);
    }),
    { seed: SEED },
  );
});

test("ids that are counted up spread over all 64 bits", () => {
  const counts = new Array<number>(64).fill(0);
  const seen = new Set<string>();
  const size = 20_000;
  for (let i = 0; i < size; i++) {
    const mark = nextMark(START_MARK, `018f3c5e-0000-7000-8000-${i.toString(16).padStart(12, "0")}`);
    seen.add(mark);
    const bits = BigInt(`0x${mark}`);
    for (let bit = 0; bit < 64; bit++) counts[bit] = (counts[bit] ?? 0) + Number((bits >> BigInt(bit)) & 1n);
  }
  expect(seen.size).toBe(size);
  for (const count of counts) expect(Math.abs(count / size - 0.5)).toBeLessThan(0.02);
});
