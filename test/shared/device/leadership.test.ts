import { expect, test } from "vitest";
import { isAbandoned, look, mayWrite, NO_LEASE, NOTHING_SEEN, nextBeat, nextTerm } from "../../../shared/device/leadership.ts";

test("each leader writes under its own term, and none under another's", () => {
  const first = nextTerm(NO_LEASE);
  const second = nextTerm(nextBeat(first));
  expect(second.term).toBeGreaterThan(first.term);
  expect([mayWrite(first, first.term), mayWrite(second, first.term), mayWrite(first, second.term)]).toEqual([true, false, false]);
  expect(mayWrite(nextBeat(first), first.term)).toBe(true);
});

test("a leader is given up when its beat has stood still for as many looks as patience allows, and any sign of life starts anew", () => {
  let lease = nextTerm(NO_LEASE);
  let watch = look(NOTHING_SEEN, lease);
  for (let looks = 0; looks < 3; looks++) watch = look(watch, lease);
  expect(isAbandoned(watch, 4)).toBe(false);
  lease = nextBeat(lease);
  watch = look(watch, lease);
  for (let looks = 0; looks < 4; looks++) watch = look(watch, lease);
  expect(isAbandoned(watch, 4)).toBe(true);
  expect(isAbandoned(look(watch, nextTerm(lease)), 4)).toBe(false);
});
