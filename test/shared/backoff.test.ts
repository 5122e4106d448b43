import fc from "fast-check";
import { expect, test } from "vitest";
import { backoff } from "../../shared/backoff.ts";
import { SEED } from "../support/seed.ts";

const SLOW = { first: 300, longest: 30_000 };

test("reconnect storm: a thousand devices that lost the same edge come back spread over the whole wait, not all at once", () => {
  const devices = 1_000;
  for (const failures of [4, 8, 20]) {
    const bound = backoff(SLOW, failures, 1);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let device = 0; device < devices; device++) {
      const wait = backoff(SLOW, failures, device / devices);
      expect(wait).toBeLessThanOrEqual(bound);
      const tenth = Math.min(9, Math.floor((wait / bound) * 10));
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.max(...tenths)).toBeLessThan((devices / 10) * 2);
  }
});

test("a wait is never shorter than what the edge asks for, never none, and grows up to its bound", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.nat(300),
      (failures, random, seconds) => {
        const wait = backoff(SLOW, failures, random, seconds);
        expect(wait).toBeGreaterThan(seconds * 1000);
        expect(wait - seconds * 1000).toBeLessThanOrEqual(SLOW.longest);
        expect(backoff(SLOW, failures + 1, random, seconds)).toBeGreaterThanOrEqual(wait);
      },
    ),
    { seed: SEED },
  );
});

test("whatever the edge asks for, a wait is one that a timer can have: five minutes longer at most", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.double(), (failures, seconds) => {
      const wait = backoff(SLOW, failures, 0.5, seconds);
      expect(wait).toBeGreaterThanOrEqual(50);
      expect(wait).toBeLessThanOrEqual(SLOW.longest + 300_000);
    }),
    { seed: SEED },
  );
  const asked = (seconds: number) => backoff(SLOW, 1, 0.5, seconds) - backoff(SLOW, 1, 0.5);
  expect([31_536_000, 1e308, Number.POSITIVE_INFINITY, -5, Number.NaN, 7].map(asked)).toEqual([300_000, 300_000, 300_000, 0, 0, 7_000]);
});
