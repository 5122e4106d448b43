/** Where the folding of a projection goes on. */
import { expect, test } from "vitest";
import { type Folded, foldFrom, UNFOLDED } from "../../../shared/device/projection.ts";

const FOLDED: Folded = { log: "log-1", resets: 1, scope: ["Permit"], position: 5, isReady: true };

test("folding goes on where it was, in the same history and the same part of the store", () => {
  expect(foldFrom(FOLDED, { log: "log-1", resets: 1, scope: ["Permit"] })).toEqual({ start: FOLDED, isAnew: false });
});

test("no row is kept of another history, or of another part of the store, however far the next page reaches", () => {
  expect(foldFrom(FOLDED, { log: "log-2", resets: 1, scope: ["Permit"] })).toEqual({
    start: { ...UNFOLDED, log: "log-2", resets: 1, scope: ["Permit"] },
    isAnew: true,
  });
  expect(foldFrom(FOLDED, { log: "log-1", resets: 1, scope: null })).toEqual({
    start: { ...UNFOLDED, log: "log-1", resets: 1, scope: null },
    isAnew: true,
  });
  const again = { log: "log-1", resets: 2, scope: ["Permit"] };
  expect(foldFrom(FOLDED, again)).toEqual({ start: { ...UNFOLDED, ...again }, isAnew: true });
});
